// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// What recovery makes of files that are missing, foreign, renamed or from another version (S6, F1, F13, F17).
@Suite struct RecoveryRulesTests {
    static let directory: FilePath = "/store"

    static func log(_ number: UInt64) -> FilePath { directory.appending(StoreFiles.name(.log, number)) }

    /// A store whose tail is in several log segments, as a crash leaves it.
    static func crashedStore(rounds: Int = 5) async throws -> SimulatedFileSystem {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1
        let store = try await MemoStore.labelled(at: directory, configuration: configuration, fileSystem: files)
        for _ in 0..<rounds { try await store.append(.spawning(3)) }
        let remains = files.crash(keeping: .dropAll)
        await Workload.abandon(store, on: files)
        return remains
    }

    static func failure(opening files: SimulatedFileSystem) async -> StoreError? {
        do throws(StoreError) {
            let store = try await MemoStore.labelled(at: directory, fileSystem: files)
            await Workload.abandon(store, on: files)
            return nil
        } catch { return error }
    }

    /// Puts another version of a file in place, with a header that is right but for `change`.
    static func rewriteHeader(
        of path: FilePath, on files: SimulatedFileSystem, _ change: (inout [UInt8]) -> Void
    ) throws {
        var bytes = Array(try #require(files.contents(path)).prefix(FileHeader.size))
        change(&bytes)
        let checksum = bytes.withUnsafeBytes {
            Checksum.crc32c(UnsafeRawBufferPointer(rebasing: $0[..<(FileHeader.size - 4)]))
        }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange((FileHeader.size - 4)..., with: $0) }
        try files.overwrite(path, with: bytes)
    }

    @Test("S6: a log segment that is missing in the middle is damage, named by the file", arguments: [1, 2, 3, 4])
    func missingSegment(number: UInt64) async throws {
        let files = try await Self.crashedStore()
        try files.remove(Self.log(number))
        let error = await Self.failure(opening: files)
        #expect(error?.code == .damaged)
        #expect(error?.file == Self.log(number))
    }

    @Test("S6: a segment shorter than its successor says is damage, at every length")
    func shortenedSegment() async throws {
        let files = try await Self.crashedStore()
        let length = try #require(files.contents(Self.log(3))?.count)
        for cut in stride(from: 0, to: length, by: 3) {
            let copy = files.crash(keeping: .keepAll)
            try copy.truncate(Self.log(3), to: cut)
            let error = await Self.failure(opening: copy)
            #expect(error?.code == .damaged, "cut at \(cut): \(error.map(\.description) ?? "opened")")
            #expect(error?.file == Self.log(3), "cut at \(cut)")
        }
    }

    @Test("F1: a log segment of another store is refused, and so is one under another's name")
    func foreignSegment() async throws {
        let other = try await Self.crashedStore()
        for (source, code) in [(other, StoreError.Code.notAStore), (nil, .notAStore)] {
            let files = try await Self.crashedStore()
            let bytes = try #require((source ?? files).contents(Self.log(source == nil ? 2 : 3)))
            try files.place(bytes, at: Self.log(3))
            let error = await Self.failure(opening: files)
            #expect(error?.code == code)
            #expect(error?.file == Self.log(3))
        }
    }

    @Test(
        "F2, F3: another version and unknown features are refused as such, unknown compatible ones are not",
        arguments: [
            (9, StoreError.Code.unsupportedVersion), (64, .unsupportedVersion), (68, .unsupportedVersion),
        ])
    func otherVersion(place: Int, code: StoreError.Code) async throws {
        let crashed = try await Self.crashedStore()
        for name in ["MANIFEST", "log-0000000003", "checkpoint-0000000001"] {
            let files = crashed.crash(keeping: .keepAll)
            let path = Self.directory.appending(name)
            try Self.rewriteHeader(of: path, on: files) { $0[place] ^= 0x40 }
            let error = await Self.failure(opening: files)
            #expect(error?.code == code, "\(name)")
            #expect(error?.file == path, "\(name)")
            // Compatible features, by contrast, are none of a reader's business.
            try Self.rewriteHeader(of: path, on: files) {
                $0[place] ^= 0x40
                $0[60] = 1
            }
            #expect(await Self.failure(opening: files) == nil, "\(name)")
        }
    }

    @Test("F2: an unknown read-only-compatible feature stops a writer and not a reader")
    func readOnlyFeature() throws {
        var bytes = FileHeader(kind: .log, number: 1, identity: .random(), epoch: 1).encoded()
        bytes[64] = 2
        let checksum = bytes[..<(FileHeader.size - 4)].withUnsafeBytes { Checksum.crc32c($0) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange((FileHeader.size - 4)..., with: $0) }
        let read = bytes.withUnsafeBytes { try? FileHeader($0, for: .reading).number }
        let written = bytes.withUnsafeBytes { try? FileHeader($0, for: .writing).number }
        #expect(read == 1)
        #expect(written == nil)
    }

    @Test("F4: reserved bytes that are not zero are damage", arguments: [10, 15, 72, 100, 123])
    func reservedBytes(place: Int) async throws {
        let files = try await Self.crashedStore()
        try Self.rewriteHeader(of: Self.log(2), on: files) { $0[place] = 1 }
        let error = await Self.failure(opening: files)
        #expect(error?.code == .damaged)
        #expect(error?.file == Self.log(2))
    }

    @Test("S6: files that a checkpoint names and that are missing are damage, named by the file")
    func missingFiles() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let names = try files.list(Self.directory).filter { $0.hasPrefix("index") || $0.hasPrefix("checkpoint") }
        let mirror = try #require(try files.list(Self.directory).first { $0.hasPrefix("mirror") })
        #expect(names.count > 3)
        for name in names {
            let copy = files.crash(keeping: .keepAll)
            try copy.remove(Self.directory.appending(name))
            if name.hasPrefix("checkpoint") { try copy.remove(Self.directory.appending(mirror)) }
            let error = await Self.failure(opening: copy)
            #expect(error?.code == .damaged, "\(name): \(error.map(\.description) ?? "opened")")
            #expect(error?.file == Self.directory.appending(name))
        }
    }

    @Test("S6: a store that is damaged keeps each file that it may be repaired with")
    func leftoversOfTheDamaged() async throws {
        let files = SimulatedFileSystem()
        var workload = Workload(.everything)
        let result = try await workload.run(on: files)
        try await result.store?.close()
        let named = try #require(try files.list(Self.directory).first { $0.hasPrefix("index") })
        let names = ["index-0000000999", "checkpoint-0000000999", "mirror-0000000999", "index-0000000998.new"]
        for name in names { try files.place([1, 2, 3], at: Self.directory.appending(name)) }
        let bytes = try #require(files.contents(Self.directory.appending(named)))
        try files.remove(Self.directory.appending(named))
        let before = try OfflineFixture.bytes(in: Self.directory, on: files)
        #expect(await Self.failure(opening: files)?.code == .damaged)
        #expect(try OfflineFixture.bytes(in: Self.directory, on: files) == before)
        try files.place(bytes, at: Self.directory.appending(named))
        #expect(await Self.failure(opening: files) == nil)
        for name in names { #expect(files.contents(Self.directory.appending(name)) == nil, "\(name)") }
    }

    @Test("S4: opening takes the space that the store holds back, where even to write a byte anew needs some")
    func reserve() async throws {
        let files = try await Self.crashedStore()
        let reserve = Self.directory.appending(StoreFiles.reserveName)
        try? files.remove(reserve)
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, in: "log")
        files.faults = plan
        #expect(await Self.failure(opening: files)?.code == .noSpace)
        try files.place([UInt8](repeating: 0, count: 100), at: reserve)
        files.faults = plan
        let store = try await MemoStore.labelled(
            at: Self.directory, configuration: .exactLog, fileSystem: files)
        #expect(store.totals.live == 15)
        #expect(files.contents(reserve) == nil)
        await Workload.abandon(store, on: files)
    }

    @Test("F13: the loss of the newest log segment is damage, to the writer and to readers, as soon as it has a batch")
    func newestLogIsMissing() async throws {
        for steps in 2...Workload(.everything).steps.count {
            let files = SimulatedFileSystem()
            var workload = Workload(.everything)
            workload.steps = Array(workload.steps.prefix(steps))
            let result = try await workload.run(on: files)
            let remains = files.crash(keeping: .keepAll)
            await Workload.abandon(result.store, on: files)
            let newest = UInt64(try #require(StoreLoader.logSegments(try remains.list(Self.directory)).last))
            try remains.remove(Self.log(newest))
            let error = await Self.failure(opening: remains)
            #expect(error?.code == .damaged, "\(steps) steps")
            #expect(error?.file == Self.log(newest), "\(steps) steps")
            do throws(StoreError) {
                _ = try await MemoReader.open(at: Self.directory, fileSystem: remains)
                Issue.record("a reader saw nothing after \(steps) steps")
            } catch {
                #expect(error.code == .damaged && error.file == Self.log(newest), "\(steps) steps")
            }
        }
    }

    @Test("S4: opening writes no log, and the first commit names its segment in the manifest before it is written")
    func namesSegmentFirst() async throws {
        let files = SimulatedFileSystem()
        var store = try await MemoStore.open(at: Self.directory, configuration: .exactLog, fileSystem: files)
        _ = try await store.label(for: "a")
        try await store.append(.spawning(3))
        try await store.close()
        store = try await MemoStore.open(at: Self.directory, configuration: .exactLog, fileSystem: files)
        let manifest = files.contents("/store/MANIFEST")
        #expect(files.contents(Self.log(2)) == nil)
        var plan = FaultPlan()
        plan.fail(.rename, at: 1, with: .noSpace, in: "MANIFEST")
        files.faults = plan
        #expect(await store.failure(of: .spawning(1))?.code == .noSpace)
        #expect(files.contents(Self.log(2))?.count == FileHeader.size)
        #expect(files.contents("/store/MANIFEST") == manifest)
        try await store.append(.spawning(1))
        #expect(files.contents("/store/MANIFEST") != manifest)
        #expect(StoreLoader.logSegments(try files.list(Self.directory)) == [1, 2])
        try await store.close()
    }

    @Test(
        "S6: a store whose manifest is missing is damaged, and not one of its files is touched", arguments: [1, 2, 3])
    func missingManifest(openings: Int) async throws {
        let files = SimulatedFileSystem()
        for opening in 0..<openings {
            let store = try await MemoStore.labelled(at: Self.directory, fileSystem: files)
            if opening == 0 {
                let tasks = try await store.append(.spawning(2)).spawned[0]
                try await store.append(.ending(tasks, under: 0))
            }
            try await store.close()
        }
        try files.remove("/store/MANIFEST")
        let before = try files.list(Self.directory)
        let error = await Self.failure(opening: files)
        #expect(error?.code == .damaged)
        #expect(error?.file != nil)
        #expect(try files.list(Self.directory) == before)
    }

    /// A service that was killed while it created its store was reported to have lost a manifest, by `make crash-loop`.
    @Test("S6: a creation that was cut short anywhere leaves no store or a whole one, to readers and tools as well")
    func creationCutShort() async throws {
        for count in 0... {
            let files = SimulatedFileSystem()
            files.faults = .crashing(afterCall: count)
            let store = try? await MemoStore.open(at: Self.directory, fileSystem: files)
            try? await store?.close()
            let isWhole = !files.isStopped
            for policy in [CrashPolicy.keepAll, .dropAll, .random(seed: UInt64(count))] {
                let remains = files.crash(keeping: policy)
                do throws(StoreError) {
                    let found = try StoreVerifier.verify(at: Self.directory, fileSystem: remains)
                    #expect(!found.isDamaged, "\(count), \(policy): \(found.findings)")
                    _ = try MemoReader.openBlocking(at: Self.directory, fileSystem: remains)
                } catch {
                    #expect(error.code == .notFound && store == nil, "\(count), \(policy): \(error)")
                }
                try await MemoStore.open(at: Self.directory, fileSystem: remains).close()
            }
            if isWhole { return }
        }
    }

    @Test("F17: files that are none of the store's are left alone, whatever their names")
    func foreignFiles() async throws {
        let files = SimulatedFileSystem()
        let foreign = ["resolv.conf.new", "log-1", "index-abc", "notes", "MANIFEST.bak", "checkpoint-0000000001.old"]
        for name in foreign { try files.place([1, 2, 3], at: Self.directory.appending(name)) }
        for _ in 0..<3 {
            let store = try await MemoStore.labelled(at: Self.directory, fileSystem: files)
            try await store.append(.spawning(1))
            try await store.close()
        }
        for name in foreign { #expect(files.contents(Self.directory.appending(name)) == [1, 2, 3], "\(name)") }
    }

    @Test("S7: what was left under a temporary name is removed")
    func leftovers() async throws {
        let files = try await Self.crashedStore()
        let names = ["log-0000000099.new", "MANIFEST.new", "checkpoint-0000000007.new", "index-0000000001.new"]
        for name in names { try files.place([1, 2, 3], at: Self.directory.appending(name)) }
        #expect(await Self.failure(opening: files) == nil)
        for name in names { #expect(files.contents(Self.directory.appending(name)) == nil, "\(name)") }
    }

    @Test("F21: recovery removes nothing on the word of a manifest whose name may not be on disk")
    func manifestBeforeItsName() async throws {
        let expected = try await Workload.facts(.everything)
        var windows = 0
        var count = 1
        while true {
            let (crashed, completed) = try await CrashTests.crashed(afterCall: count, .everything)
            guard let completed else { break }
            defer { count += 1 }
            let shown = crashed.contents("/store/MANIFEST")
            guard shown != nil, crashed.crash(keeping: .dropAll).contents("/store/MANIFEST") != shown else { continue }
            windows += 1
            // The process dies here; recovery is cut off at each call by a loss of power.
            var inner = 0
            var isDone = false
            while !isDone {
                let again = crashed.crash(keeping: .keepAll)
                again.faults = .crashing(afterCall: inner)
                let opened = try? await Workload(.everything).open(again)
                isDone = !again.isStopped || inner > 12
                for seed in 0..<4 as Range<UInt64> {
                    let remains = again.crash(keeping: .random(seed: seed, tearing: .never))
                    let place = "call \(count), in recovery call \(inner), seed \(seed)"
                    _ = try await CrashTests.check(remains, completed, expected, place)
                }
                await Workload.abandon(opened, on: again)
                inner += 1
            }
            if windows == 3 { break }
        }
        #expect(windows == 3)
    }

    @Test("S6: the report says whether the store was closed, what was replayed and what was torn")
    func report() async throws {
        let files = SimulatedFileSystem()
        var store = try await MemoStore.labelled(at: Self.directory, configuration: .exactLog, fileSystem: files)
        #expect(store.recovery.created)
        try await store.append(.spawning(3))
        try await store.close()
        store = try await MemoStore.labelled(at: Self.directory, configuration: .exactLog, fileSystem: files)
        #expect(store.recovery == RecoveryReport())
        // Opened and never closed, but nothing was committed.
        let untouched = files.crash(keeping: .keepAll)
        var reopened = try await MemoStore.labelled(at: Self.directory, fileSystem: untouched)
        #expect(reopened.recovery == RecoveryReport())
        try await reopened.close()

        try await store.append(.spawning(1))
        let torn = files.crash(keeping: .keepAll)
        let length = try #require(torn.contents(Self.log(2))?.count)
        try torn.overwrite(Self.log(2), with: [1, 2, 3, 4, 5], at: length)
        reopened = try await MemoStore.labelled(at: Self.directory, fileSystem: torn)
        #expect(!reopened.recovery.wasClean)
        #expect(reopened.recovery.replayedFrames == 1)
        #expect(reopened.recovery.replayedBytes == length - FileHeader.size)
        #expect(reopened.recovery.tornBytes == 5)
        #expect(reopened.recovery.tornFile == Self.log(2))
        try await reopened.close()
        try await store.close()
    }
}
