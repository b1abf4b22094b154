// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// An outcome block, read with all its columns, with some, and as the verification reads it.
enum BlockDecoder: FuzzDecoder {
    static let columns: [ChildColumns] = [.stored, .all, .attachments, .facts, .memos, .errors, .positions, []]

    static func decoded(
        _ bytes: UnsafeRawBufferPointer, _ columns: ChildColumns, failuresBehind skipped: Int? = nil
    ) -> ChildBlock? {
        var block = ChildBlock()
        var scratch: [UInt8] = []
        guard
            (try? OutcomeBlockReader.decode(
                bytes, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &block)) != nil
        else { return nil }
        block.hasFacts = columns.contains(.facts)
        block.hasAttachments = columns.contains(.attachments)
        return block
    }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        let whole = decoded(bytes, .stored)
        if let whole { check(whole, bytes) }
        for columns in columns.dropFirst() {
            // Positions alone have no kinds.
            guard let block = decoded(bytes, columns), columns != .positions else { continue }
            BlockReading.readAll(block, columns)
            if let whole { compare(block, columns, whole) }
        }
        for skipped in [0, 1, 3] { _ = decoded(bytes, .stored, failuresBehind: skipped) }
        var check = BlockCheck()
        if (try? check.read(bytes)) != nil {
            expect(whole?.count == check.rows, "what verification accepts and the reader does not")
        }
    }

    /// A block says the same when it is written again.
    private static func check(_ block: ChildBlock, _ bytes: UnsafeRawBufferPointer) {
        expect(block.count <= Limits.blockRows, "rows and their limit")
        expect((try? OutcomeBlockReader.length(bytes)) == bytes.count, "a block and its length")
        BlockReading.readAll(block, .stored)
        let rows = block.outcomeBlock()
        // A writer's rows are in order, and so an attachment is found by its row's sequence.
        guard zip(rows.rows, rows.rows.dropFirst()).allSatisfy({ $0.sequence < $1.sequence }) else { return }
        for compress in [true, false] {
            var scratch = OutcomeBlockScratch()
            var writer = ByteWriter()
            OutcomeBlockCodec.encode(rows, compress: compress, scratch: &scratch, into: &writer)
            let again = writer.bytes.withUnsafeBytes { decoded($0, .stored)?.outcomeBlock() }
            expect(again == rows, "a block and what is written of it")
        }
    }

    private static func compare(_ block: ChildBlock, _ columns: ChildColumns, _ whole: ChildBlock) {
        expect(block.count == whole.count, "rows of some columns and of all")
        for index in 0..<whole.count {
            expect(
                block.kind(at: index) == whole.kind(at: index) && block.label(at: index) == whole.label(at: index),
                "kinds of some columns and of all")
            if columns.contains(.facts) {
                expect(
                    block.id(at: index) == whole.id(at: index)
                        && block.sequence(at: index) == whole.sequence(at: index),
                    "facts of some columns and of all")
            }
            let isCompleted = whole.kind(at: index) == .completed
            guard columns.contains(isCompleted ? .memos : .errors) else { continue }
            let value = block.withValue(at: index) { $0.withUnsafeBytes { Array($0) } }
            expect(value == whole.withValue(at: index) { $0.withUnsafeBytes { Array($0) } }, "values")
        }
    }

    static func seeds(_ golden: GoldenFiles) throws -> [[UInt8]] {
        var seeds = golden.frames(.block, of: .index).map(\.body)
        for frame in golden.frames(.sharedBlocks, of: .index) {
            frame.body.withUnsafeBytes { body in
                var rest = body
                while !rest.isEmpty, let length = try? OutcomeBlockReader.length(rest) {
                    seeds.append(Array(rest.prefix(length)))
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(length))
                }
            }
        }
        for frame in golden.frames(.commit, .part, of: .log) {
            try frame.body.withUnsafeBytesThrowing { (body) throws(DecodingFailure) in
                try LogRecord.forEach(in: body) { (kind, _, fields) throws(DecodingFailure) in
                    if kind == LogRecord.Kind.outcomes.rawValue { seeds.append(Array(fields)) }
                }
            }
        }
        return seeds
    }
}
