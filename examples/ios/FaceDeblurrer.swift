// Restores aligned faces on an iPhone with LiteRT's CompiledModel.
import Foundation
import LiteRT

/// One file of deblur_zoo with float input, such as one_step_lite_128x128_float16.tflite. Not thread-safe.
final class FaceDeblurrer {
    private let side: Int
    private let environment: Environment
    private let model: CompiledModel
    private let inputs: [TensorBuffer]
    private let outputs: [TensorBuffer]

    init(modelPath: String, gpu: Bool, side: Int = 128) throws {
        self.side = side
        environment = try Environment()
        let options = try Options()
        // Operators that the GPU does not take run on the CPU.
        try options.setHardwareAccelerators(gpu ? [.gpu, .cpu] : [.cpu])
        model = try CompiledModel(filePath: modelPath, environment: environment, options: options)
        inputs = try model.createInputBuffers()
        outputs = try model.createOutputBuffers()
    }

    /// side x side x 3 floats in [0, 1], aligned, to the same, restored.
    func restoreCrop(_ crop: [Float]) throws -> [Float] {
        precondition(crop.count == side * side * 3, "an aligned face of \(side)x\(side) pixels is needed")
        try inputs[0].write(crop)
        try model.run(inputs: inputs, outputs: outputs)
        return try outputs[0].read()
    }

    /// A photo, RGB floats in [0, 1], with one face restored; points as photoToCrop takes them.
    func restore(_ photo: [Float], _ width: Int, _ height: Int, points: [Double]) throws -> [Float] {
        let toCrop = photoToCrop(points, side)
        let crop = align(photo, width, height, toCrop, side)
        return pasteBack(photo, width, height, crop, try restoreCrop(crop), toCrop, side)
    }
}
