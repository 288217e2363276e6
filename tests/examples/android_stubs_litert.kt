package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator { NONE, CPU, GPU, NPU }

class TensorBuffer : AutoCloseable {
    fun writeFloat(data: FloatArray) {}

    fun readFloat(): FloatArray = FloatArray(0)

    override fun close() {}
}

class CompiledModel : AutoCloseable {
    class Options(vararg val accelerators: Accelerator)

    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = listOf()

    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = listOf()

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) {}

    override fun close() {}

    companion object {
        fun create(assetManager: AssetManager, assetName: String, options: Options) = CompiledModel()
    }
}
