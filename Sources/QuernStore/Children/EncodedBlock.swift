// SPDX-License-Identifier: Apache-2.0

/// A block in memory in the form that it has in an index segment, a tenth of its rows: what a reader keeps of the log's
/// tail, which holds any number of children.
final class EncodedBlock: Sendable {
    private let bytes: [UInt8]

    init(_ block: OutcomeBlock, scratch: inout OutcomeBlockScratch) {
        var writer = ByteWriter()
        OutcomeBlockCodec.encode(block, compress: true, scratch: &scratch, into: &writer)
        // Without the room that the writer reserved to grow.
        bytes = writer.bytes.withUnsafeBytes { Array($0) }
    }

    func decode(
        columns: ChildColumns, failuresBehind skipped: Int?, scratch: inout [UInt8], into block: inout ChildBlock
    ) throws(DecodingFailure) {
        try bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
            _ = try OutcomeBlockReader.decode(
                bytes, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &block)
        }
    }
}
