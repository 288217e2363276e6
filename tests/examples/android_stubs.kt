// What examples/android/FaceDeblurrer.kt calls of Android and of LiteRT 2.3, so that a compiler alone can check it.
package android.content.res

class AssetManager
