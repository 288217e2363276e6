// Restores the faces of a photo on the phone with LiteRT's CompiledModel.
package org.deblurzoo

import android.content.res.AssetManager
import android.graphics.Bitmap
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.roundToInt

/** One file of deblur_zoo with float input, such as one_step_lite_128x128_float16.tflite. Not thread-safe. */
class FaceDeblurrer(assets: AssetManager, file: String, accelerator: Accelerator, private val side: Int = 128) :
    AutoCloseable {
    // Operators that the accelerator does not take run on the CPU.
    private val options = CompiledModel.Options(*setOf(accelerator, Accelerator.CPU).toTypedArray())
    private val model = CompiledModel.create(assets, file, options)
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** side x side x 3 floats in [0, 1], aligned, to the same, restored. */
    fun restoreCrop(crop: FloatArray): FloatArray {
        require(crop.size == side * side * 3) { "an aligned face of ${side}x$side pixels is needed" }
        inputs[0].writeFloat(crop)
        model.run(inputs, outputs)
        return outputs[0].readFloat()
    }

    /** A photo with one face restored; points: left eye, right eye, nose tip, mouth corners as x, y, x, y, ... */
    fun restore(photo: Bitmap, points: DoubleArray): Bitmap {
        val pixels = floats(photo)
        val toCrop = photoToCrop(points, side)
        val crop = align(pixels, photo.width, photo.height, toCrop, side)
        val restored = pasteBack(pixels, photo.width, photo.height, crop, restoreCrop(crop), toCrop, side)
        return bitmap(restored, photo.width, photo.height)
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }
}

private fun floats(photo: Bitmap): FloatArray {
    val pixels = IntArray(photo.width * photo.height)
    photo.getPixels(pixels, 0, photo.width, 0, 0, photo.width, photo.height)
    return FloatArray(pixels.size * 3) { ((pixels[it / 3] shr (16 - 8 * (it % 3))) and 0xff) / 255f }
}

private fun bitmap(rgb: FloatArray, width: Int, height: Int): Bitmap {
    val pixels = IntArray(width * height) { pixel ->
        (0 until 3).fold(0xff) { sum, channel ->
            (sum shl 8) or (255f * rgb[3 * pixel + channel]).roundToInt().coerceIn(0, 255)
        }
    }
    return Bitmap.createBitmap(pixels, width, height, Bitmap.Config.ARGB_8888)
}
