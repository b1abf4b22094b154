// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

/// Blocks whose completed children are alike, and those of walks over failures: what has no row of its own is told as
/// if it had one (S9, S13).
@Suite struct AlikeRowsTests {
    /// Completed children with one label and memos of one length, and others between them.
    static func block(_ random: inout SeededGenerator) -> OutcomeBlock {
        var block = OutcomeBlock(parent: TaskID(5))
        let rows = random.pick([1, 2, 63, 64, 65, 200, 1000])
        let share = random.pick([0, 1, 5, 50, 100])
        let memoLength = random.pick([0, 1, 8, 24, 65])
        let isEven = random.coin()
        var sequence: UInt64 = 10
        for task in 0..<UInt64(rows) {
            let isOther = random.chance(share, in: 100)
            let row = OutcomeRow(
                task: 10 + task * (isEven ? 1 : 2 + task % 3), sequence: sequence, startedAt: 5 - Int64(task % 7),
                endedAt: Int64(random.below(70_000)), label: isOther ? UInt32(1 + random.below(3)) : 2,
                attempts: UInt32(1 + random.below(2)),
                valueLength: UInt32(isOther ? random.below(300) : memoLength),
                kind: isOther ? random.pick(OutcomeKind.allCases.filter { $0 != .completed }) : .completed)
            random.bytes(Int(row.valueLength)).withUnsafeBytes { block.append(row, value: $0) }
            if random.chance(1, in: 4) {
                random.bytes(1 + random.below(40)).withUnsafeBytes { block.attachments.append($0, of: sequence) }
            }
            sequence += isEven ? 1 : UInt64(1 + random.below(300))
        }
        return block
    }

    /// One child as a block tells it; nil for what the walk did not ask for.
    struct Child: Equatable {
        var kind: OutcomeKind
        var label: UInt32
        var value: [UInt8]?
        var facts: OutcomeRow?
        var attachment: [UInt8]?
    }

    static func children(_ block: ChildBlock, _ columns: ChildColumns) -> [Child] {
        (0..<block.count).map { index in
            let kind = block.kind(at: index)
            var child = Child(kind: kind, label: block.label(at: index).rawValue)
            if columns.contains(kind == .completed ? .memos : .errors) {
                child.value = block.withValue(at: index) { value in value.withUnsafeBytes { Array($0) } }
            }
            if columns.contains(.facts) {
                child.facts = OutcomeRow(
                    task: block.id(at: index).rawValue, sequence: block.sequence(at: index),
                    startedAt: block.startedAt(at: index).rawValue, endedAt: block.endedAt(at: index).rawValue,
                    label: child.label, attempts: block.attempts(at: index), valueLength: 0, kind: kind)
            }
            if columns.contains(.attachments) {
                child.attachment = block.withAttachment(at: index) { bytes in bytes.withUnsafeBytes { Array($0) } }
            }
            return child
        }
    }

    /// What must be told, from the rows themselves.
    static func expected(_ block: OutcomeBlock, _ columns: ChildColumns) -> [Child] {
        var memos = block.memos[...]
        var errors = block.errors[...]
        return block.rows.map { row in
            var child = Child(kind: row.kind, label: row.label)
            let isCompleted = row.kind == .completed
            let value = (isCompleted ? memos : errors).prefix(Int(row.valueLength))
            if isCompleted { memos.removeFirst(value.count) } else { errors.removeFirst(value.count) }
            if columns.contains(isCompleted ? .memos : .errors) { child.value = Array(value) }
            if columns.contains(.facts) {
                child.facts = row
                child.facts?.valueLength = 0
            }
            if columns.contains(.attachments) {
                child.attachment = Array(block.attachments.bytes[block.attachments.range(of: row.sequence)])
            }
            return child
        }
    }

    static let columns: [ChildColumns] = [[], .memos, .errors, [.memos, .errors], .facts, .all, .stored]

    /// The block as each of its forms gives it.
    static func decoded(
        _ block: OutcomeBlock, _ columns: ChildColumns, failuresBehind skipped: Int? = nil
    ) throws -> [ChildBlock] {
        var found: [ChildBlock] = []
        for compress in [true, false] {
            // A buffer that held another block before.
            var decoded = try CodecTests.decoded(CodecTests.encoded(block, compress: true), .stored)
            var scratch: [UInt8] = []
            try CodecTests.encoded(block, compress: compress).withUnsafeBytesThrowing {
                (bytes) throws(DecodingFailure) in
                let rows = try OutcomeBlockReader.decode(
                    bytes, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &decoded)
                #expect(rows == block.rows.count)
            }
            found.append(decoded)
        }
        var filled = ChildBlock()
        filled.fill(from: block, columns: columns, failuresBehind: skipped)
        found.append(filled)
        for index in found.indices {
            found[index].hasFacts = columns.contains(.facts)
            found[index].hasAttachments = columns.contains(.attachments)
        }
        return found
    }

    @Test(
        "S9: every child is told, whatever the walk asks for, from the front cut off or turned round", arguments: 1...80
    )
    func rows(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let block = Self.block(&random)
        for columns in Self.columns {
            let expected = Self.expected(block, columns)
            let cut = random.below(expected.count)
            for var found in try Self.decoded(block, columns) {
                let isSame = Self.children(found, columns) == expected
                #expect(isSame, "seed \(seed), columns \(columns.rawValue)")
                found.removeFirst(cut)
                let rest = Array(expected[cut...])
                let isRest = Self.children(found, columns) == rest
                #expect(isRest, "seed \(seed), columns \(columns.rawValue), behind \(cut)")
                found.reverse()
                let isTurned = Self.children(found, columns) == rest.reversed()
                #expect(isTurned, "seed \(seed), columns \(columns.rawValue), behind \(cut), turned round")
            }
        }
    }

    @Test("S13: memos of completed children lie in place, in order, also where others failed", arguments: 1...40)
    func memosInPlace(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let block = Self.block(&random)
        let completed = block.rows.filter { $0.kind == .completed }
        for columns in [ChildColumns.memos, [.memos, .errors], .all] {
            for var found in try Self.decoded(block, columns) {
                func check(_ comment: Comment) {
                    let memos = Self.children(found, columns).filter { $0.kind == .completed }.compactMap(\.value)
                    #expect((found.completed?.count ?? 0) == memos.count, comment)
                    #expect((found.uniform != nil) == (memos.count == found.count && found.count > 0), comment)
                    guard completed.first?.valueLength == 24 else { return }
                    let places = found.withMemos(as: WalkTests.Memo.self) { span in
                        span.indices.map { index in withUnsafeBytes(of: span[index]) { Array($0) } }
                    }
                    #expect(places == memos, comment)
                }
                check("seed \(seed)")
                found.removeFirst(random.below(found.count))
                check("seed \(seed), cut")
                found.reverse()
                check("seed \(seed), turned round")
            }
        }
    }

    @Test("S9: a walk over failures tells what a walk over all tells of them", arguments: 1...80)
    func failures(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        // Also blocks in which nothing is alike.
        let block = random.coin() ? Self.block(&random) : CodecTests.block(&random)
        for columns in Self.columns {
            let skipped = random.coin() ? 0 : random.below(block.rows.count)
            let expected = Self.expected(block, columns)[skipped...].filter(\.kind.isFailure)
            for found in try Self.decoded(block, columns, failuresBehind: skipped) {
                let isSame = Self.children(found, columns) == expected
                #expect(isSame, "seed \(seed), columns \(columns.rawValue), behind \(skipped)")
                #expect(found.lastSequence == block.rows.last?.sequence)
                #expect(found.memos.isEmpty)
            }
        }
    }

    @Test("F30: blocks of any bytes decode or are refused, whatever the walk asks for", arguments: 1...40)
    func hostile(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let bytes = CodecTests.encoded(Self.block(&random), compress: false)
        for _ in 0..<200 {
            var wrong = bytes
            for _ in 0...random.below(3) { wrong[random.below(min(wrong.count, 400))] = UInt8(random.below(256)) }
            for columns in Self.columns + [.positions] {
                for skipped in [nil, 0] as [Int?] {
                    var block = ChildBlock()
                    var scratch: [UInt8] = []
                    do throws(DecodingFailure) {
                        try wrong.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in
                            _ = try OutcomeBlockReader.decode(
                                bytes, columns: columns, failuresBehind: skipped, scratch: &scratch, into: &block)
                        }
                    } catch { continue }
                    block.hasFacts = columns.contains(.facts)
                    block.hasAttachments = columns.contains(.attachments)
                    // Reads all that is there.
                    _ = Self.children(block, columns)
                }
            }
        }
    }
}
