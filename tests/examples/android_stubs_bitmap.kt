package android.graphics

class Bitmap(val width: Int, val height: Int) {
    enum class Config { ARGB_8888 }

    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {}

    companion object {
        fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config) = Bitmap(width, height)
    }
}
