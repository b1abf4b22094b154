// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

/// Blocks decoded without rows are held to what ``OutcomeBlockReader`` says of them (F30, F35).
@Suite("Blocks checked column by column (F30, F35)")
struct BlockCheckTests {
    private func check(_ bytes: [UInt8]) -> Result<BlockCheck, DecodingFailure> {
        var check = BlockCheck()
        do throws(DecodingFailure) {
            try bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in try check.read(bytes) }
            return .success(check)
        } catch { return .failure(error) }
    }

    /// A block as writers make them: sequences that grow, and children younger than their parents.
    private func block(_ random: inout SeededGenerator) -> OutcomeBlock {
        var block = CodecTests.block(&random)
        var sequence = random.next() % 1000 + 1
        let step = UInt64(random.pick([1, 9]))
        block.parent = TaskID(random.next() % 100)
        block.attachments = Attachments()
        for index in block.rows.indices {
            sequence += 1 + random.next() % step
            block.rows[index].sequence = sequence
            block.rows[index].task = 101 + random.next() % 100_000
            guard random.chance(1, in: 5) else { continue }
            [UInt8(index % 256)].withUnsafeBytes { block.attachments.append($0, of: sequence) }
        }
        return block
    }

    @Test(
        "A block tells the same of its rows as when it is decoded into rows", arguments: 1...10 as ClosedRange<UInt64>)
    func same(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<10 {
            let bytes = CodecTests.encoded(block(&random), compress: random.coin())
            let found = try check(bytes).get()
            let block = try CodecTests.decoded(bytes, .stored)
            #expect(found.rows == block.count)
            #expect(found.parent == block.parent && found.root == block.root)
            #expect((0..<block.count).map { found.ids[$0] } == block.rows.map(\.outcome.task))
            #expect((0..<block.count).map { found.sequences[$0] } == block.rows.map(\.outcome.sequence))
            #expect(found.ids.highest == block.rows.map(\.outcome.task).max())
            #expect(found.highestLabel == block.rows.map(\.outcome.label).max())
            #expect(found.firstFailure == block.rows.firstIndex { $0.outcome.kind.isFailure })
            var counts = OutcomeCounts()
            for row in block.rows { counts[row.outcome.kind] += 1 }
            #expect(found.counts == counts)
        }
    }

    @Test("What it accepts the reader accepts, whatever the bytes", arguments: 1...10 as ClosedRange<UInt64>)
    func hostile(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var accepted = 0
        for _ in 0..<40 {
            let good = CodecTests.encoded(block(&random), compress: random.coin())
            let bytes = HostileBytesTests.mutated(good, &random)
            guard case .success(let found) = check(bytes) else { continue }
            accepted += 1
            let block = try? CodecTests.decoded(bytes, .stored)
            #expect(block?.count == found.rows, "seed \(seed)")
        }
        #expect(accepted > 0)
    }
}

@Suite("Sets of numbers that are there once")
struct NumberSetTests {
    @Test(
        "It says of each number whether it is new, in ranges, lists and across full pieces",
        arguments: 1...8 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var set = NumberSet()
        var model: Set<UInt64> = []
        for _ in 0..<400 {
            let first = random.next() % 20_000
            let numbers: [UInt64]
            let isNew: Bool
            if random.coin() {
                let last = first + random.next() % UInt64(random.pick([1, 70, 9000]))
                numbers = Array(first...last)
                isNew = set.insert(first...last)
            } else {
                numbers = Array(Set((0..<random.below(50)).map { _ in first + random.next() % 5000 })).shuffled(
                    using: &random)
                isNew = set.insert(numbers)
            }
            #expect(isNew == model.isDisjoint(with: numbers))
            model.formUnion(numbers)
        }
        for number in 0..<31_000 as Range<UInt64> { #expect(set.contains(number) == model.contains(number)) }
    }

    @Test("A number twice in one list is there twice")
    func twice() {
        var set = NumberSet()
        let isNew = set.insert([5, 9, 5])
        #expect(!isNew)
    }
}
