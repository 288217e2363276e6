// Aligning a face and pasting it back, as deblur_zoo does. The same arithmetic as examples/android/FaceGeometry.kt.
// Pictures are RGB floats in [0, 1], rows from the top, three values a pixel; pixel centres have whole coordinates.
import Foundation

/// Turns, scales and shifts: (x, y) goes to (a x - b y + tx, b x + a y + ty).
struct Similarity {
    let a: Double, b: Double, tx: Double, ty: Double
    var scale: Double { hypot(a, b) }
}

/// Left eye, right eye, nose tip, left and right mouth corner as shares of the crop's side: x, y, x, y, ...
let CANONICAL: [Double] = [0.345, 0.335, 0.655, 0.335, 0.5, 0.55, 0.375, 0.65, 0.625, 0.65]

/// The similarity from photo to crop, by least squares, of five points in pixels of the photo: x, y, x, y, ...
func photoToCrop(_ points: [Double], _ side: Int) -> Similarity {
    var px = 0.0
    var py = 0.0
    var cx = 0.0
    var cy = 0.0
    for i in 0..<5 {
        px += points[2 * i] / 5.0
        py += points[2 * i + 1] / 5.0
        cx += CANONICAL[2 * i] * Double(side) / 5.0
        cy += CANONICAL[2 * i + 1] * Double(side) / 5.0
    }
    var spread = 0.0
    var along = 0.0
    var across = 0.0
    for i in 0..<5 {
        let x = points[2 * i] - px
        let y = points[2 * i + 1] - py
        let u = CANONICAL[2 * i] * Double(side) - cx
        let v = CANONICAL[2 * i + 1] * Double(side) - cy
        spread += x * x + y * y
        along += x * u + y * v
        across += x * v - y * u
    }
    let a = along / spread
    let b = across / spread
    return Similarity(a: a, b: b, tx: cx - a * px + b * py, ty: cy - b * px - a * py)
}

func inverse(_ s: Similarity) -> Similarity {
    let n = s.a * s.a + s.b * s.b
    return Similarity(a: s.a / n, b: -s.b / n, tx: -(s.a * s.tx + s.b * s.ty) / n, ty: (s.b * s.tx - s.a * s.ty) / n)
}

/// The crop of a face, side x side, that the network takes. Pixels outside the photo are mirrored.
func align(_ photo: [Float], _ width: Int, _ height: Int, _ toCrop: Similarity, _ side: Int) -> [Float] {
    let back = inverse(toCrop)
    let finer = max(1, Int(ceil(back.scale - 1e-9)))
    var crop = [Float](repeating: 0, count: side * side * 3)
    for row in 0..<side {
        for column in 0..<side {
            for channel in 0..<3 {
                var sum = 0.0
                for j in 0..<finer {
                    for i in 0..<finer {
                        let u = Double(column) + (Double(i) + 0.5) / Double(finer) - 0.5
                        let v = Double(row) + (Double(j) + 0.5) / Double(finer) - 0.5
                        let x = back.a * u - back.b * v + back.tx
                        let y = back.b * u + back.a * v + back.ty
                        sum += sample(photo, width, height, x, y, channel)
                    }
                }
                let mean = sum / Double(finer * finer)
                crop[(row * side + column) * 3 + channel] = Float(min(max(mean, 0.0), 1.0))
            }
        }
    }
    return crop
}

/// The photo with what the network changed in the crop; the change fades out towards the crop's edge.
func pasteBack(
    _ photo: [Float], _ width: Int, _ height: Int, _ crop: [Float], _ restored: [Float], _ toCrop: Similarity, _ side: Int
) -> [Float] {
    // Deblurring moves light but adds none: the mean change over the face is taken out.
    var change = [Float](repeating: 0, count: side * side * 3)
    for channel in 0..<3 {
        var weights = 0.0
        var mean = 0.0
        for i in 0..<(side * side) {
            let weight = faceWeight(Double(i % side) + 0.5, floor(Double(i) / Double(side)) + 0.5, side)
            weights += weight
            mean += weight * Double(restored[i * 3 + channel] - crop[i * 3 + channel])
        }
        for i in 0..<(side * side) {
            let difference = Double(restored[i * 3 + channel] - crop[i * 3 + channel])
            change[i * 3 + channel] = Float(difference - mean / weights)
        }
    }
    let finer = max(1, Int(ceil(toCrop.scale - 1e-9)))
    var result = photo
    for row in 0..<height {
        for column in 0..<width {
            let x = toCrop.a * Double(column) - toCrop.b * Double(row) + toCrop.tx
            let y = toCrop.b * Double(column) + toCrop.a * Double(row) + toCrop.ty
            let weight = faceWeight(x + 0.5, y + 0.5, side)
            if weight > 0.0 {
                for channel in 0..<3 {
                    var sum = 0.0
                    for j in 0..<finer {
                        for i in 0..<finer {
                            let u = (Double(i) + 0.5) / Double(finer) - 0.5
                            let v = (Double(j) + 0.5) / Double(finer) - 0.5
                            let dx = toCrop.a * u - toCrop.b * v
                            let dy = toCrop.b * u + toCrop.a * v
                            sum += sample(change, side, side, x + dx, y + dy, channel)
                        }
                    }
                    let place = (row * width + column) * 3 + channel
                    let before = Double(photo[place])
                    let after = min(max(before + sum / Double(finer * finer), 0.0), 1.0)
                    result[place] = Float(before + weight * (after - before))
                }
            }
        }
    }
    return result
}

/// How much of the change counts at a position of the crop, in pixels from its top left corner; 1 in the middle.
func faceWeight(_ x: Double, _ y: Double, _ side: Int) -> Double {
    let dx = abs(x / Double(side) - 0.5) / 0.49
    let dy = abs(y / Double(side) - 0.5) / 0.5
    let ramp = min(max((1.0 - cbrt(dx * dx * dx + dy * dy * dy)) / 0.35, 0.0), 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)
}

/// Cubic interpolation, mirrored at the border.
func sample(_ pixels: [Float], _ width: Int, _ height: Int, _ x: Double, _ y: Double, _ channel: Int) -> Double {
    let left = Int(floor(x)) - 1
    let top = Int(floor(y)) - 1
    var sum = 0.0
    for row in top..<(top + 4) {
        let start = mirror(row, height) * width
        let weight = cubic(y - Double(row))
        for column in left..<(left + 4) {
            let value = Double(pixels[(start + mirror(column, width)) * 3 + channel])
            sum += weight * cubic(x - Double(column)) * value
        }
    }
    return sum
}

func cubic(_ distance: Double) -> Double {
    let t = abs(distance)
    if t <= 1.0 {
        return (1.25 * t - 2.25) * t * t + 1.0
    }
    if t < 2.0 {
        return ((-0.75 * t + 3.75) * t - 6.0) * t + 3.0
    }
    return 0.0
}

func mirror(_ index: Int, _ size: Int) -> Int {
    if size == 1 {
        return 0
    }
    let period = 2 * size - 2
    let place = (index % period + period) % period
    if place < size {
        return place
    }
    return period - place
}
