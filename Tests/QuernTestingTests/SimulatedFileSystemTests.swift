// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@Suite struct SimulatedFileSystemTests {
    let files = SimulatedFileSystem()

    @Test func mappingsStayAsTheyWere() throws {
        let file = try files.makeFile("/a", "0123456789")
        let early = try file.map(length: 4)
        try file.write("abc", at: 10)
        let late = try file.map(length: 13)
        try file.write("XXXX", at: 2)
        try files.truncate("/a", to: 0)
        try file.write("YYYYYYYYYYYYY")
        try files.remove("/a")
        #expect(early.withBytes { String(decoding: $0, as: UTF8.self) } == "0123")
        #expect(late.withBytes { String(decoding: $0, as: UTF8.self) } == "0123456789abc")
        late.discard(0..<13)
        #expect(late.withBytes(\.count) == 13)
    }

    @Test func contentIsKeptThroughGrowthMappingAndCrash() throws {
        var generator = SeededGenerator(seed: 3)
        let file = try files.open("/a", .createNew)
        var expected: [UInt8] = []
        var mappings: [(FileMapping, [UInt8])] = []
        for step in 0..<500 {
            let bytes = generator.bytes(1 + generator.below(300))
            let offset = generator.below(expected.count + 50)
            if offset + bytes.count > expected.count {
                expected += [UInt8](repeating: 0, count: offset + bytes.count - expected.count)
            }
            expected.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            try file.write(bytes, at: offset)
            if generator.chance(1, in: 5) {
                let length = generator.below(expected.count + 1)
                mappings.append((try file.map(length: length), Array(expected[..<length])))
            }
            if generator.chance(1, in: 10) {
                try file.synchronize()
                try files.synchronizeDirectory("/")
                #expect(files.crash(keeping: .dropAll).contents("/a") == expected, "step \(step)")
            }
        }
        #expect(files.contents("/a") == expected)
        for (mapping, bytes) in mappings { #expect(mapping.withBytes { $0.elementsEqual(bytes) }) }
    }

    @Test func hugeOffsetsAreRefused() throws {
        let file = try files.open("/a", .createNew)
        #expect(fileError { try file.write("x", at: .max) }?.errno == .fileTooLarge)
        #expect(fileError { try file.write("x", at: 1 << 40) }?.errno == .fileTooLarge)
    }

    @Test func unnamedFilesAreFreed() throws {
        for _ in 0..<50 {
            try files.makeFile("/a", String(repeating: "x", count: 1_000))
            try files.remove("/a")
            try files.synchronizeDirectory("/")
        }
        #expect(files.usedBytes == 0)
    }

    @Test func manyThreadsMayUseIt() async throws {
        let file = try files.open("/shared", .createNew)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<8 {
                group.addTask { [files] in
                    for round in 0..<500 {
                        try? file.write([UInt8(worker)], at: worker * 500 + round)
                        if round % 50 == 0 {
                            let mapping = try? file.map(length: (try? file.size()) ?? 0)
                            _ = mapping?.withBytes { $0.reduce(0, ^) }
                            try? file.synchronize()
                            _ = files.crash(keeping: .random(seed: UInt64(round)))
                        }
                    }
                }
            }
        }
        let expected = (0..<8).flatMap { [UInt8](repeating: UInt8($0), count: 500) }
        #expect(files.contents("/shared") == expected)
    }
}

@Suite struct SeededGeneratorTests {
    @Test func aSeedFixesTheNumbers() {
        // Reference values of SplitMix64 for the seed 1234567.
        var generator = SeededGenerator(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
    }

    @Test func rangesAndBytes() {
        var generator = SeededGenerator(seed: 5)
        var seen: Set<Int> = []
        for _ in 0..<1_000 { seen.insert(generator.below(7)) }
        #expect(seen == Set(0..<7))
        #expect(generator.bytes(13).count == 13)
        #expect(Set((0..<100).map { _ in generator.coin() }).count == 2)
        var fork = generator.fork()
        #expect(fork.next() != generator.next())
    }
}
