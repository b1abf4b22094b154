// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

@testable import QuernStore

/// The codecs by themselves: LZ4, integer columns, the shuffle, checksums, and the records that stand alone. The first
/// byte says which, the second is a number for it.
enum CodecDecoder: FuzzDecoder {
    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 2 else { return }
        let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(2))
        let number = Int(bytes[1])
        switch bytes[0] % 8 {
        case 0: decompress(rest, number)
        case 1: compress(rest)
        case 2: readColumn(rest, number)
        case 3: writeColumn(rest)
        case 4: shuffle(rest, width: number % 64 + 1)
        case 5: checksum(rest, cut: number)
        case 6: readRecords(rest)
        default: readIntegers(rest)
        }
    }

    private static func decompress(_ bytes: UnsafeRawBufferPointer, _ number: Int) {
        for whole in [bytes.count, bytes.count * 3 + number, bytes.count * (number + 1)] {
            guard LZ4.isPlausible(raw: whole, stored: bytes.count) else { continue }
            var target = [UInt8](repeating: 0, count: whole)
            let isWhole = target.withUnsafeMutableBytes { (try? LZ4.decompress(bytes, into: $0)) != nil }
            // The first of them alone are the same.
            var part = [UInt8](repeating: 0, count: whole / 2)
            let isPart = part.withUnsafeMutableBytes { (try? LZ4.decompress(bytes, into: $0, of: whole)) != nil }
            if isWhole, isPart { expect(target.starts(with: part), "a part of what was compressed, and all") }
        }
    }

    private static func compress(_ bytes: UnsafeRawBufferPointer) {
        var writer = ByteWriter()
        guard LZ4.compress(bytes, into: &writer) else { return expect(writer.count == 0, "nothing compressed") }
        var target = [UInt8](repeating: 0, count: bytes.count)
        let isWhole = target.withUnsafeMutableBytes { target in
            writer.bytes.withUnsafeBytes { (try? LZ4.decompress($0, into: target)) != nil }
        }
        expect(isWhole && target.elementsEqual(bytes), "bytes, compressed and back")
        expect(LZ4.isPlausible(raw: bytes.count, stored: writer.count), "a length and its compressed bytes")
    }

    private static func readColumn(_ bytes: UnsafeRawBufferPointer, _ count: Int) {
        var reader = ByteReader(bytes)
        guard let column = try? IntegerColumn.decode(count: count, from: &reader) else { return }
        check(column, (0..<count).map { column[$0] })
    }

    private static func check(_ column: IntegerColumn.View, _ values: [Int64]) {
        let count = values.count
        var visited: [Int64] = []
        column.visit { visited.append($1) }
        expect(visited == values, "a column's values as they are visited")
        for range in [0..<count, count / 3..<count, 0..<count / 2] {
            var loaded = [Int64](repeating: 0, count: range.count)
            if !range.isEmpty { loaded.withUnsafeMutableBufferPointer { column.load(range, into: $0.baseAddress!) } }
            expect(loaded.elementsEqual(values[range]), "a column's values as they are loaded")
            expect(column.sum(range) == values[range].reduce(0, &+), "a column's sum")
        }
        if count > 0 {
            let first = (count / 2..<count).first { values[$0] != values[0] } ?? count
            expect(column.firstDifference(from: count / 2, to: 0) == first, "a column's first difference")
        }
        // Nobody asks for the total of no values.
        for limit in count == 0 ? [] : [0, 255, 1 << 20, Limits.frameBytes] {
            let total = try? column.total(limit: limit)
            var sum: Int? = 0
            for value in values {
                sum = sum.flatMap { value >= 0 && value <= Int64(limit - $0) ? $0 + Int(value) : nil }
            }
            expect(total == sum, "a column's total up to \(limit)")
        }
    }

    private static func writeColumn(_ bytes: UnsafeRawBufferPointer) {
        let values = (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) }
        var writer = ByteWriter()
        IntegerColumn.encode(count: values.count, into: &writer) { values[$0] }
        writer.bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let column = try? IntegerColumn.decode(count: values.count, from: &reader) else {
                return expect(false, "a column that was written")
            }
            expect(reader.isAtEnd, "a column and its length")
            check(column, values)
        }
    }

    private static func shuffle(_ bytes: UnsafeRawBufferPointer, width: Int) {
        let count = bytes.count / width
        guard count > 0 else { return }
        let source = Array(bytes.prefix(count * width))
        let varying = quern_varying_planes(source, count, width)
        let size = OutcomeBlockHeader.sectionBytes(count: count, width: width, varying: varying)
        var planes = [UInt8](repeating: 0, count: size)
        quern_shuffle(source, &planes, count, width, varying)
        var back = [UInt8](repeating: 0, count: source.count)
        quern_unshuffle(planes, &back, count, width, varying)
        expect(back == source, "bytes, shuffled and back")
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer, cut: Int) {
        let whole = Checksum.crc32c(bytes, seed: 7)
        expect(whole == quern_crc32c_portable(7, bytes.baseAddress, bytes.count), "checksums")
        let cut = min(cut, bytes.count)
        let first = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<cut]), seed: 7)
        expect(whole == Checksum.crc32c(UnsafeRawBufferPointer(rebasing: bytes[cut...]), seed: first), "checksums")
        let zeros = bytes.reversed().prefix { $0 == 0 }.count
        expect(quern_length_without_zeros(bytes.baseAddress, bytes.count) == bytes.count - zeros, "zeros at the end")
    }

    private static func readRecords(_ bytes: UnsafeRawBufferPointer) {
        for isStaged in [true, false] {
            guard let record = try? SpawnRecord(bytes, isStaged: isStaged) else { continue }
            _ = try? record.keys()
            var sum: Int64 = 0
            for index in 0..<Int(record.count) { sum += record.lengths[index] }
            expect(sum == Int64(record.payloads.count), "payloads and their lengths")
        }
        var reader = ByteReader(bytes)
        if let record = try? ValueRecord(&reader) {
            var writer = ByteWriter()
            ValueRecord.append(record.name, record.value, to: &writer)
            expect(writer.bytes.elementsEqual(bytes), "a named value and what is written of it")
        }
        reader = ByteReader(bytes)
        _ = try? DroppedTree(&reader)
        reader = ByteReader(bytes)
        if let absent = try? AbsentPositions(&reader) {
            for position in [0, 63, 64, Limits.stagedTasks - 1, Limits.stagedTasks] {
                expect(
                    absent.contains(position) == (absent.bits(from: position, count: 1) == 1), "absent positions")
            }
        }
        reader = ByteReader(bytes)
        if let run = try? LiveTasks.Run(&reader) { expect(run.run.count > 0, "a run and its tasks") }
        _ = LogRecord.withoutOutcomes(Array(bytes))
    }

    private static func readIntegers(_ bytes: UnsafeRawBufferPointer) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let start = reader.offset
            guard let value = try? reader.variable() else { break }
            var writer = ByteWriter()
            writer.append(variable: value)
            let stored = bytes[start..<reader.offset]
            // There is one shortest form, and others with zeros behind it.
            if stored.last != 0 || stored.count == 1 {
                expect(writer.bytes.elementsEqual(stored), "an integer and what is written of it")
            }
        }
        reader = ByteReader(bytes)
        _ = try? reader.length(limit: 1000)
    }

    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        var seeds: [[UInt8]] = []
        for file in golden.files {
            for frame in file.frames.prefix(40) {
                let start = Int(frame.header.offset) + FrameHeader.size
                let stored = file.bytes[start..<(start + frame.header.storedLength)]
                if frame.header.codec == .lz4 { seeds.append([0, 1] + stored) }
                for choice in 1...7 as ClosedRange<UInt8> { seeds.append([choice, 23] + frame.body.prefix(512)) }
                if file.header.kind == .log, frame.body.count > LogRecord.prefixSize {
                    seeds.append([6, 0] + frame.body.dropFirst(LogRecord.prefixSize))
                }
            }
        }
        return seeds
    }
}
