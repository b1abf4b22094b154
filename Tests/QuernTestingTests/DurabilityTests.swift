// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

/// What a crash of the simulated file system keeps, and what it may lose.
@Suite struct DurabilityTests {
    let files = SimulatedFileSystem()

    /// The different remains that many seeds give.
    func remains(
        _ count: UInt64 = 400, tearing: CrashPolicy.Tearing = .sectors,
        of files: SimulatedFileSystem? = nil, _ look: (SimulatedFileSystem) -> String?
    ) -> Set<String?> {
        Set((0..<count).map { look((files ?? self.files).crash(keeping: .random(seed: $0, tearing: tearing))) })
    }

    // MARK: Content

    @Test func anUnsyncedWriteMayBeLostOrKept() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        #expect(files.text("/a") == "new")
        #expect(remains { $0.text("/a") } == ["old", "new"])
        #expect(files.crash(keeping: .dropAll).text("/a") == "old")
        #expect(files.crash(keeping: .keepAll).text("/a") == "new")
    }

    @Test func aSyncedWriteIsNeverLost() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        try file.synchronize()
        #expect(remains { $0.text("/a") } == ["new"])
        #expect(files.crash(keeping: .dropAll).text("/a") == "new")
        #expect(files.durableContents("/a") == Array("new".utf8))
    }

    @Test func unsyncedWritesReachTheDiskInAnyOrder() throws {
        let file = try files.makeFile("/a", "")
        try file.write("1", at: 0)
        try file.write("2", at: 1)
        let found = remains { $0.text("/a") }
        #expect(found == ["", "1", "12", "\0", "\0" + "2", "1\0", "\0\0"])
    }

    @Test func theLengthMayComeBeforeTheBytes() throws {
        let file = try files.makeFile("/a", "x")
        try file.write("yz", at: 1)
        #expect(remains { $0.text("/a") } == ["x", "xyz", "x\0\0"])
    }

    @Test func aTornWriteTearsAtSectorBorders() throws {
        let file = try files.makeFile("/a", String(repeating: "o", count: 2_000))
        try file.write(String(repeating: "n", count: 1_500), at: 100)
        var tears: Set<Int> = []
        for seed in 0..<400 as Range<UInt64> {
            let bytes = try #require(files.crash(keeping: .random(seed: seed)).contents("/a"))
            #expect(bytes.count == 2_000)
            for index in 1..<bytes.count where bytes[index] != bytes[index - 1] { tears.insert(index) }
        }
        #expect(tears == [100, 512, 1_024, 1_536, 1_600])
    }

    @Test func tearingCanBeHarsherOrOff() throws {
        let file = try files.makeFile("/a", String(repeating: "o", count: 300))
        try file.write(String(repeating: "n", count: 300))
        #expect(remains { $0.text("/a") }.count == 2, "one sector is not torn")
        #expect(remains(tearing: .bytes) { $0.text("/a") }.count > 20)
        try file.write(String(repeating: "m", count: 5_000))
        try file.synchronize()
        try file.write(String(repeating: "k", count: 5_000))
        #expect(remains(tearing: .never) { $0.text("/a") }.count == 2)
    }

    @Test func aFailedSyncLosesItsData() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        files.faults = .failing(.synchronize, at: 1)
        #expect(fileError { try file.synchronize() }?.errno == .ioError)
        #expect(try file.text() == "new", "reads are deceived until the crash")
        try file.synchronize()  // Succeeds, and has nothing to write.
        #expect(remains { $0.text("/a") } == ["old"])
        #expect(files.crash(keeping: .keepAll).text("/a") == "new", "the process died, the page cache did not")
        try file.write("!", at: 5)
        try file.synchronize()
        #expect(remains { $0.text("/a") } == ["old\0\0!"])
    }

    @Test func aFailedSyncMayHaveWorkedAllTheSame() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        files.faults = .failing(.synchronize, at: 1)
        files.faults.failedSynchronizeKeepsData = true
        #expect(fileError { try file.synchronize() } != nil)
        #expect(remains { $0.text("/a") } == ["new"])
    }

    // MARK: Names

    @Test func anUnsyncedNameMayBeLostThoughTheContentIsSynced() throws {
        try files.makeFile("/a", "content", named: false)
        #expect(remains { $0.text("/a") } == [nil, "content"])
        #expect(files.crash(keeping: .dropAll).text("/a") == nil)
        try files.synchronizeDirectory("/")
        #expect(remains { $0.text("/a") } == ["content"])
    }

    @Test func aSyncedNameMayHaveAnEmptyFile() throws {
        let file = try files.open("/a", .createNew)
        try file.write("content")
        try files.synchronizeDirectory("/")
        #expect(files.crash(keeping: .dropAll).text("/a") == "")
    }

    @Test func aRenameIsAtomic() throws {
        try files.makeFile("/a", "old")
        try files.makeFile("/b", "new")
        try files.rename("/b", to: "/a")
        let found = remains { "\($0.text("/a") ?? "none") \($0.text("/b") ?? "none")" }
        #expect(found == ["old new", "new none"])
        try files.synchronizeDirectory("/")
        #expect(remains { "\($0.text("/a") ?? "none") \($0.text("/b") ?? "none")" } == ["new none"])
    }

    @Test func aRenameAcrossDirectoriesIsAtomicWhicheverIsSynced() throws {
        for synced in ["/d", "/e"] as [FilePath] {
            let files = SimulatedFileSystem()
            try files.createDirectory("/d")
            try files.createDirectory("/e")
            files.synchronizeAll()
            try files.makeFile("/d/a", "moved", named: false)
            try files.rename("/d/a", to: "/e/b")
            let look = { (files: SimulatedFileSystem) in
                "\(files.text("/d/a") ?? "none") \(files.text("/e/b") ?? "none")"
            }
            #expect(remains(of: files, look) == ["none none", "moved none", "none moved"])
            try files.synchronizeDirectory(synced)
            #expect(look(files.crash(keeping: .dropAll)) == "none moved")
        }
    }

    @Test func aRenamedFileWithoutASyncMayBeEmpty() throws {
        try files.makeFile("/a", "old")
        let file = try files.open("/b", .createNew)
        try file.write("new")
        try files.rename("/b", to: "/a")
        #expect(remains { $0.text("/a") } == ["old", "new", "", "\0\0\0"])
    }

    @Test func anUnsyncedRemovalMayComeBack() throws {
        try files.makeFile("/a", "content")
        try files.remove("/a")
        #expect(files.text("/a") == nil)
        #expect(remains { $0.text("/a") } == ["content", nil])
        try files.synchronizeDirectory("/")
        #expect(remains { $0.text("/a") } == [nil])
    }

    @Test func changesOfNamesMayBeReordered() throws {
        try files.makeFile("/a", "", named: false)
        try files.makeFile("/b", "", named: false)
        #expect(remains { (try? $0.list("/"))?.sorted().joined() } == ["", "a", "b", "ab"])
    }

    @Test func syncingADirectoryLeavesOthersAlone() throws {
        try files.createDirectory("/d")
        files.synchronizeAll()
        try files.makeFile("/a", "1", named: false)
        try files.makeFile("/d/b", "2")
        let crashed = files.crash(keeping: .dropAll)
        #expect(crashed.text("/a") == nil)
        #expect(crashed.text("/d/b") == "2")
    }

    @Test func directoriesAreDurableWhenTheyAreCreated() throws {
        try files.createDirectory("/d/e")
        #expect(try files.crash(keeping: .dropAll).list("/d") == ["e"])
        try files.makeFile("/d/e/a", "content")
        #expect(files.crash(keeping: .dropAll).text("/d/e/a") == "content")
    }

    // MARK: The new file system and the old

    @Test func theSameSeedLeavesTheSame() throws {
        for name in 0..<20 {
            let file = try files.makeFile(FilePath("/\(name)"), "old", named: name % 2 == 0)
            try file.write(String(repeating: "new", count: name * 100))
        }
        let contents = { (files: SimulatedFileSystem) in (0..<20).map { files.text(FilePath("/\($0)")) } }
        for seed in 0..<20 as Range<UInt64> {
            let crashed = files.crash(keeping: .random(seed: seed))
            #expect(contents(crashed) == contents(files.crash(keeping: .random(seed: seed))))
            #expect(contents(crashed) == contents(crashed.crash(keeping: .dropAll)), "what is left is on the disk")
        }
    }

    @Test func oldFilesAndMappingsDoNotReachTheNewFileSystem() throws {
        let file = try files.makeFile("/a", "before")
        let mapping = try file.map(length: 6)
        for policy in [CrashPolicy.keepAll, .dropAll, .random(seed: 1)] {
            let crashed = files.crash(keeping: policy)
            let reopened = try crashed.open("/a", .readWrite)
            try file.write("after!")
            try file.write("longer", at: 6)
            #expect(try reopened.text() == "before")
            try reopened.write("other", at: 6)
            #expect(try reopened.text() == "beforeother")
            #expect(try file.text() == "after!longer")
            #expect(mapping.withBytes { String(decoding: $0, as: UTF8.self) } == "before")
            try file.write("before")
            try files.truncate("/a", to: 6)
        }
    }

    @Test func afterAProcessDeathTheUnsyncedIsStillUnsynced() throws {
        let file = try files.makeFile("/a", "old")
        try file.write("new")
        try files.makeFile("/b", "name", named: false)
        let survivor = files.crash(keeping: .keepAll)
        #expect(survivor.text("/a") == "new")
        #expect(survivor.crash(keeping: .dropAll).text("/a") == "old")
        #expect(survivor.text("/b") == "name")
        #expect(survivor.crash(keeping: .dropAll).text("/b") == nil)
    }

    @Test func locksAreFreeAfterACrash() throws {
        let lock = try files.lock("/lock")
        try lock.write("me")
        #expect(fileError { _ = try files.lock("/lock") }?.errno == .resourceTemporarilyUnavailable)
        let crashed = files.crash(keeping: .keepAll)
        #expect(try crashed.lock("/lock").read() == "me")
        lock.release()
    }
}
