// Aligning a face and pasting it back, as deblur_zoo does. Plain Kotlin: no Android classes.
// Pictures are RGB floats in [0, 1], rows from the top, three values a pixel; pixel centres have whole coordinates.
package org.deblurzoo

import kotlin.math.abs
import kotlin.math.cbrt
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.hypot
import kotlin.math.max
import kotlin.math.min

/** Turns, scales and shifts: (x, y) goes to (a x - b y + tx, b x + a y + ty). */
class Similarity(val a: Double, val b: Double, val tx: Double, val ty: Double) {
    val scale: Double get() = hypot(a, b)
}

/** Left eye, right eye, nose tip, left and right mouth corner as shares of the crop's side: x, y, x, y, ... */
val CANONICAL = doubleArrayOf(0.345, 0.335, 0.655, 0.335, 0.5, 0.55, 0.375, 0.65, 0.625, 0.65)

/** The similarity from photo to crop, by least squares, of five points in pixels of the photo: x, y, x, y, ... */
fun photoToCrop(points: DoubleArray, side: Int): Similarity {
    var px = 0.0
    var py = 0.0
    var cx = 0.0
    var cy = 0.0
    for (i in 0 until 5) {
        px += points[2 * i] / 5.0
        py += points[2 * i + 1] / 5.0
        cx += CANONICAL[2 * i] * side.toDouble() / 5.0
        cy += CANONICAL[2 * i + 1] * side.toDouble() / 5.0
    }
    var spread = 0.0
    var along = 0.0
    var across = 0.0
    for (i in 0 until 5) {
        val x = points[2 * i] - px
        val y = points[2 * i + 1] - py
        val u = CANONICAL[2 * i] * side.toDouble() - cx
        val v = CANONICAL[2 * i + 1] * side.toDouble() - cy
        spread += x * x + y * y
        along += x * u + y * v
        across += x * v - y * u
    }
    val a = along / spread
    val b = across / spread
    return Similarity(a, b, cx - a * px + b * py, cy - b * px - a * py)
}

fun inverse(s: Similarity): Similarity {
    val n = s.a * s.a + s.b * s.b
    return Similarity(s.a / n, -s.b / n, -(s.a * s.tx + s.b * s.ty) / n, (s.b * s.tx - s.a * s.ty) / n)
}

/** The crop of a face, side x side, that the network takes. Pixels outside the photo are mirrored. */
fun align(photo: FloatArray, width: Int, height: Int, toCrop: Similarity, side: Int): FloatArray {
    val back = inverse(toCrop)
    val finer = max(1, ceil(back.scale - 1e-9).toInt())
    val crop = FloatArray(side * side * 3)
    for (row in 0 until side) {
        for (column in 0 until side) {
            for (channel in 0 until 3) {
                var sum = 0.0
                for (j in 0 until finer) {
                    for (i in 0 until finer) {
                        val u = column.toDouble() + (i.toDouble() + 0.5) / finer.toDouble() - 0.5
                        val v = row.toDouble() + (j.toDouble() + 0.5) / finer.toDouble() - 0.5
                        val x = back.a * u - back.b * v + back.tx
                        val y = back.b * u + back.a * v + back.ty
                        sum += sample(photo, width, height, x, y, channel)
                    }
                }
                val mean = sum / (finer * finer).toDouble()
                crop[(row * side + column) * 3 + channel] = min(max(mean, 0.0), 1.0).toFloat()
            }
        }
    }
    return crop
}

/** The photo with what the network changed in the crop; the change fades out towards the crop's edge. */
fun pasteBack(
    photo: FloatArray, width: Int, height: Int, crop: FloatArray, restored: FloatArray, toCrop: Similarity, side: Int
): FloatArray {
    // Deblurring moves light but adds none: the mean change over the face is taken out.
    val change = FloatArray(side * side * 3)
    for (channel in 0 until 3) {
        var weights = 0.0
        var mean = 0.0
        for (i in 0 until side * side) {
            val weight = faceWeight((i % side).toDouble() + 0.5, floor(i.toDouble() / side.toDouble()) + 0.5, side)
            weights += weight
            mean += weight * (restored[i * 3 + channel] - crop[i * 3 + channel]).toDouble()
        }
        for (i in 0 until side * side) {
            val difference = (restored[i * 3 + channel] - crop[i * 3 + channel]).toDouble()
            change[i * 3 + channel] = (difference - mean / weights).toFloat()
        }
    }
    val finer = max(1, ceil(toCrop.scale - 1e-9).toInt())
    val result = photo.copyOf()
    for (row in 0 until height) {
        for (column in 0 until width) {
            val x = toCrop.a * column.toDouble() - toCrop.b * row.toDouble() + toCrop.tx
            val y = toCrop.b * column.toDouble() + toCrop.a * row.toDouble() + toCrop.ty
            val weight = faceWeight(x + 0.5, y + 0.5, side)
            if (weight > 0.0) {
                for (channel in 0 until 3) {
                    var sum = 0.0
                    for (j in 0 until finer) {
                        for (i in 0 until finer) {
                            val u = (i.toDouble() + 0.5) / finer.toDouble() - 0.5
                            val v = (j.toDouble() + 0.5) / finer.toDouble() - 0.5
                            val dx = toCrop.a * u - toCrop.b * v
                            val dy = toCrop.b * u + toCrop.a * v
                            sum += sample(change, side, side, x + dx, y + dy, channel)
                        }
                    }
                    val place = (row * width + column) * 3 + channel
                    val before = photo[place].toDouble()
                    val after = min(max(before + sum / (finer * finer).toDouble(), 0.0), 1.0)
                    result[place] = (before + weight * (after - before)).toFloat()
                }
            }
        }
    }
    return result
}

/** How much of the change counts at a position of the crop, in pixels from its top left corner; 1 in the middle. */
fun faceWeight(x: Double, y: Double, side: Int): Double {
    val dx = abs(x / side.toDouble() - 0.5) / 0.49
    val dy = abs(y / side.toDouble() - 0.5) / 0.5
    val ramp = min(max((1.0 - cbrt(dx * dx * dx + dy * dy * dy)) / 0.35, 0.0), 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)
}

/** Cubic interpolation, mirrored at the border. */
fun sample(pixels: FloatArray, width: Int, height: Int, x: Double, y: Double, channel: Int): Double {
    val left = floor(x).toInt() - 1
    val top = floor(y).toInt() - 1
    var sum = 0.0
    for (row in top until top + 4) {
        val start = mirror(row, height) * width
        val weight = cubic(y - row.toDouble())
        for (column in left until left + 4) {
            val value = pixels[(start + mirror(column, width)) * 3 + channel].toDouble()
            sum += weight * cubic(x - column.toDouble()) * value
        }
    }
    return sum
}

fun cubic(distance: Double): Double {
    val t = abs(distance)
    if (t <= 1.0) {
        return (1.25 * t - 2.25) * t * t + 1.0
    }
    if (t < 2.0) {
        return ((-0.75 * t + 3.75) * t - 6.0) * t + 3.0
    }
    return 0.0
}

fun mirror(index: Int, size: Int): Int {
    if (size == 1) {
        return 0
    }
    val period = 2 * size - 2
    val place = (index % period + period) % period
    if (place < size) {
        return place
    }
    return period - place
}
