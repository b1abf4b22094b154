// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A changed byte or a lost end of any file is an error that names the file, or changes no answer (S6, S10, F11, F34).
@Suite struct DamageTests {
    /// A store with damage done to one file of it.
    struct Patient {
        let files: SimulatedFileSystem
        let names: [String]
        /// What it says, oldest first: losing the end of the log that nothing vouches for leads back to an earlier one.
        let facts: [StoreFacts]
        /// How far back in `facts` it may go, when the damage is at the end of the newest log segment.
        let oldest: Int
        let newestLog: String
        var configuration = MemoStore.Configuration()

        /// What is wrong with how the store answers after `damage`, or nil.
        func complaint(_ name: String, _ damage: (SimulatedFileSystem, FilePath) throws -> Void) async throws -> String?
        {
            let copy = files.crash(keeping: .keepAll)
            let path = Workload.directory.appending(name)
            try damage(copy, path)
            var report = RecoveryReport()
            let found: Result<StoreFacts, StoreError>
            do throws(StoreError) {
                let store = try await MemoStore.labelled(
                    at: Workload.directory, configuration: configuration, fileSystem: copy)
                do throws(StoreError) { found = .success(try StoreFacts(store)) } catch { found = .failure(error) }
                report = store.recovery
                await Workload.abandon(store, on: copy)
            } catch { found = .failure(error) }
            return judge(found, damaged: name, claimsToBeWhole: report.wasClean)
        }

        /// What is wrong with what a reader finds after `damage`, or nil.
        func readerComplaint(_ name: String, _ damage: (SimulatedFileSystem, FilePath) throws -> Void) rethrows
            -> String?
        {
            let copy = files.crash(keeping: .keepAll)
            try damage(copy, Workload.directory.appending(name))
            let found = Result { () throws(StoreError) in
                try StoreFacts(try MemoReader.openBlocking(at: Workload.directory, fileSystem: copy))
            }
            return judge(found, damaged: name, claimsToBeWhole: false)
        }

        private func judge(
            _ found: Result<StoreFacts, StoreError>, damaged name: String, claimsToBeWhole: Bool
        ) -> String? {
            switch found {
            case .success(let facts):
                if facts == self.facts.last { return nil }
                guard name == newestLog, self.facts[oldest...].contains(facts) else {
                    return "wrong data: \(facts.difference(from: self.facts[self.facts.count - 1]))"
                }
                return claimsToBeWhole ? "lost transactions in a store that claims to be clean" : nil
            case .failure(let error):
                let codes: [StoreError.Code] = [.damaged, .notAStore, .unsupportedVersion]
                if codes.contains(error.code), error.file == Workload.directory.appending(name) { return nil }
                return "not an error of this file: \(error)"
            }
        }
    }

    /// A store in few bytes that has files of every kind.
    static func small(closed: Bool) async throws -> Patient {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration.exactLog
        configuration.indexSegmentBytes = 300
        configuration.openBlockBytes = 1
        configuration.payloadCacheBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let root = try await store.append(.spawning(2)).spawned[0].lowerBound
        let children = try await store.append(.spawning(4, under: root)).spawned[0]
        for child in children.dropLast() { try await store.append(.ending([child], under: root)) }
        try await store.close()
        let again = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var facts = [try StoreFacts(again)]
        if !closed {
            var handover = Transaction()
            handover.advance(TaskID(root), to: 1, value: [1, 2, 3])
            for transaction in [handover, .spawning(1, under: root), .ending([children.upperBound - 1], under: root)] {
                try await again.append(transaction)
                facts.append(try StoreFacts(again))
            }
        }
        if closed { try await again.close() } else { await Workload.abandon(again, on: files) }
        let remains = files.crash(keeping: .keepAll)
        return try patient(remains, facts, oldest: 0, configuration)
    }

    static func patient(
        _ files: SimulatedFileSystem, _ facts: [StoreFacts], oldest: Int, _ configuration: MemoStore.Configuration
    ) throws -> Patient {
        let names = try files.list("/store").filter { $0 != StoreFiles.lockName }.sorted()
        let newest = names.filter { $0.hasPrefix("log") }.last!
        return Patient(
            files: files, names: names, facts: facts, oldest: oldest, newestLog: newest, configuration: configuration)
    }

    @Test("S6: any flipped byte of a small store is found or harmless", arguments: [true, false])
    func flips(closed: Bool) async throws {
        let patient = try await Self.small(closed: closed)
        #expect(Set(patient.names.map { $0.prefix(3) }) == ["MAN", "che", "mir", "ind", "log"])
        var random = SeededGenerator(seed: 1)
        var flips = 0
        // But for the newest log segment, the files are the same in both.
        for name in closed ? patient.names : [patient.newestLog] {
            for place in 0..<(patient.files.contents(Workload.directory.appending(name))?.count ?? 0) {
                let bit = random.below(8)
                let complaint = try await patient.complaint(name) { try $0.flipBit(in: $1, atByte: place, bit: bit) }
                #expect(complaint == nil, "\(name), byte \(place), bit \(bit)")
                flips += 1
            }
        }
        #expect(flips > (closed ? 1500 : 300))
    }

    @Test("S6: a file cut at any length is found or harmless", arguments: [true, false])
    func cuts(closed: Bool) async throws {
        let patient = try await Self.small(closed: closed)
        for name in closed ? patient.names : [patient.newestLog] {
            let length = patient.files.contents(Workload.directory.appending(name))?.count ?? 0
            for cut in stride(from: 0, to: length, by: closed ? 5 : 2) {
                let complaint = try await patient.complaint(name) { try $0.truncate($1, to: cut) }
                #expect(complaint == nil, "\(name) cut at \(cut) of \(length)")
            }
        }
    }

    @Test("S6: bytes or zeros behind the end of a file change nothing", arguments: [true, false])
    func longer(closed: Bool) async throws {
        let patient = try await Self.small(closed: closed)
        for name in patient.names {
            let length = patient.files.contents(Workload.directory.appending(name))?.count ?? 0
            for more in [1, 64, 5000] {
                let zeros = try await patient.complaint(name) { try $0.truncate($1, to: length + more) }
                #expect(zeros == nil, "\(name), \(more) zeros")
                let bytes = SeededGeneratorBytes.bytes(more)
                let garbage = try await patient.complaint(name) { try $0.overwrite($1, with: bytes, at: length) }
                #expect(garbage == nil, "\(name), \(more) bytes")
            }
        }
    }

    @Test("S6: a file that is replaced by another one of the same store is found", arguments: [true, false])
    func swapped(closed: Bool) async throws {
        let patient = try await Self.small(closed: closed)
        for name in patient.names {
            for other in patient.names where other != name {
                let content = patient.files.contents(Workload.directory.appending(other))!
                let complaint = try await patient.complaint(name) { try $0.place(content, at: $1) }
                #expect(complaint == nil, "\(other) as \(name)")
            }
        }
    }

    @Test("S6: damage in a store with many files and a long history is found or harmless", arguments: 0..<2)
    func bigger(share: Int) async throws {
        let facts = try await Workload.facts(.everything)
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        await Workload.abandon(result.store, on: files)
        let patient = try Self.patient(
            files.crash(keeping: .keepAll), facts, oldest: facts.count - 3, workload.configuration)
        var random = SeededGenerator(seed: UInt64(share))
        for name in patient.names {
            let length = patient.files.contents(Workload.directory.appending(name))?.count ?? 0
            for place in stride(from: share, to: length, by: 101) {
                let bit = random.below(8)
                let complaint = try await patient.complaint(name) { try $0.flipBit(in: $1, atByte: place, bit: bit) }
                #expect(complaint == nil, "\(name), byte \(place), bit \(bit)")
            }
        }
    }

    @Test("F35: a walk that met a damaged block throws at each further step, and other parents are read")
    func walksStayBroken() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.openBlockBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let roots = try await store.append(.spawning(2)).spawned[0]
        var blocks: [Int] = []
        for root in roots {
            for _ in 0..<3 {
                blocks.append(files.contents("/store/index-0000000001")?.count ?? FileHeader.size)
                let child = try await store.append(.spawning(1, under: root)).spawned[0].lowerBound
                try await store.append(.ending([child], under: root))
            }
        }
        try await store.close()
        try files.flipBit(in: "/store/index-0000000001", atByte: blocks[1] + FrameHeader.size + 60, bit: 3)
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var cursor = try reopened.children(of: TaskID(roots.lowerBound)).makeCursor()
        var block = ChildBlock()
        #expect(try cursor.next(into: &block))
        for _ in 0..<3 {
            let error = #expect(throws: StoreError.self) { try cursor.next(into: &block) }
            #expect(error?.code == .damaged)
            #expect(error?.file == "/store/index-0000000001")
            #expect(error?.offset == blocks[1])
        }
        #expect(try StoreFacts.children(of: TaskID(roots.upperBound - 1), in: reopened).count == 3)
        try await reopened.close()
    }

    @Test("S6: a damaged payload is an error of its log segment, with the place of its frame")
    func damagedPayload() async throws {
        let files = SimulatedFileSystem()
        var store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        try await store.append(.spawning(3))
        let offset = Int(store.liveTasks().runs[0].run.frameOffset)
        try await store.close()
        try files.flipBit(in: "/store/log-0000000001", atByte: offset + FrameHeader.size + 2, bit: 0)
        store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let entry = store.liveTasks().runs[0]
        let error = #expect(throws: StoreError.self) {
            try store.withPayloads(of: entry.run, indexes: entry.live) { _, _ in }
        }
        #expect(error?.code == .damaged)
        #expect(error?.file == "/store/log-0000000001")
        #expect(error?.offset == offset)
        try await store.close()
    }
}

private enum SeededGeneratorBytes {
    static func bytes(_ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: UInt64(count))
        return random.bytes(count)
    }
}
