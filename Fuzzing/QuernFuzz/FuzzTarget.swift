// SPDX-License-Identifier: Apache-2.0

/// Something that reads bytes which it did not write.
protocol FuzzDecoder {
    /// Reads bytes in all ways that the store knows. An error is fine. A trap, a look behind the end of the bytes and
    /// memory that they do not justify are not, and nor is an answer that contradicts another: that traps here.
    static func run(_ bytes: UnsafeRawBufferPointer)

    /// Bytes to begin with.
    static func seeds(_ golden: GoldenFiles) throws -> [[UInt8]]
}

enum FuzzTarget: String, CaseIterable {
    case frame, block, directory, checkpoint, manifest, codec, log, store

    var decoder: any FuzzDecoder.Type {
        switch self {
        case .frame: FrameDecoder.self
        case .block: BlockDecoder.self
        case .directory: DirectoryDecoder.self
        case .checkpoint: CheckpointBodyDecoder.self
        case .manifest: ManifestDecoder.self
        case .codec: CodecDecoder.self
        case .log: LogBodyDecoder.self
        case .store: StoreDecoder.self
        }
    }
}

/// Two answers about the same bytes that must agree.
func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds { fatalError("these contradict each other: \(what())") }
}
