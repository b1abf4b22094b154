// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Paths that lead to no store, or to one by a detour: writers, readers and inspections say the same of them.
@Suite struct StorePathTests {
    /// What each of them throws, that of the writer first.
    private static func failures(
        at path: FilePath, _ files: any FileSystem = PosixFileSystem(), writes: Bool = true
    ) async -> [StoreError?] {
        var failures: [StoreError?] = []
        func note(_ body: () async throws(StoreError) -> Void) async {
            do throws(StoreError) {
                try await body()
                failures.append(nil)
            } catch { failures.append(error) }
        }
        if writes {
            await note { () throws(StoreError) in try await MemoStore.open(at: path, fileSystem: files).close() }
        }
        await note { () throws(StoreError) in _ = try await MemoReader.open(at: path, fileSystem: files) }
        await note { () throws(StoreError) in _ = try StoreInspection(of: path, fileSystem: files) }
        return failures
    }

    @Test("A path that is a file, or lies below one, is said to be no directory", arguments: ["file", "file/store"])
    func notADirectory(name: String) async throws {
        let directory = try TemporaryDirectory()
        let simulated = SimulatedFileSystem()
        try simulated.createDirectory(directory.path)
        for files: any FileSystem in [PosixFileSystem(), simulated] {
            _ = try files.open(directory.path.appending("file"), .createNew)
            let path = directory.path.appending(name)
            for failure in await Self.failures(at: path, files) {
                #expect(failure?.code == .notAStore)
                #expect(failure?.description.contains("is not a directory") == true)
                #expect(failure?.file == path)
            }
        }
    }

    @Test("Where nothing is, a reader finds no store, and a writer makes one with the directories above")
    func missing() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("a/b/store")
        #expect(await Self.failures(at: path, writes: false).allSatisfy { $0?.code == .notFound })
        #expect(await Self.failures(at: path).allSatisfy { $0 == nil })
        let empty = directory.path.appending("a/empty")
        try PosixFileSystem().createDirectory(empty)
        #expect(await Self.failures(at: empty, writes: false).allSatisfy { $0?.code == .notFound })
    }

    @Test("A symbolic link to a store is that store, and one that leads nowhere is said to lead to none")
    func links() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        let link = directory.path.appending("link")
        #expect(symlink(path.string, link.string) == 0)
        #expect(await Self.failures(at: link).allSatisfy { $0?.code == .notFound })
        let store = try await MemoStore.labelled(at: path)
        try await store.append(.spawning(3))
        do throws(StoreError) {
            _ = try await MemoStore.open(at: link)
            Issue.record("a second writer was let in by a link")
        } catch { #expect(error.code == .locked) }
        #expect(try await MemoReader.open(at: link).totals.live == 3)
        try await store.close()
        let again = try await MemoStore.open(at: link)
        try await again.append(.spawning(1))
        try await again.close()
        #expect(try StoreInspection(of: path).liveTasks == 4)
    }

    @Test("No file of a store is followed out of it: a link in its place is an error, and its target is untouched")
    func linksInside() async throws {
        let files = PosixFileSystem()
        let model = try TemporaryDirectory()
        for name in try files.list(try await Self.fill(model)) {
            let directory = try TemporaryDirectory()
            let path = try await Self.fill(directory)
            let (inside, outside) = (path.appending(name), directory.path.appending("outside"))
            try files.rename(inside, to: outside)
            #expect(symlink(outside.string, inside.string) == 0)
            let before = try Self.bytes(outside)
            let failures = await Self.failures(at: path)
            let salvaged = try? OfflineStore.read(at: path)
            #expect(try Self.bytes(outside) == before, "\(name)")
            // Of a checkpoint and its mirror one is enough, and a new RESERVE takes the place of the old one.
            let kind = StoreFiles.parse(name)?.kind
            guard kind != .mirror, kind != .checkpoint, name != StoreFiles.reserveName else { continue }
            #expect(failures.contains { $0?.cause?.errno == .tooManySymbolicLinkLevels }, "\(name): \(failures)")
            // Nobody but a writer needs the lock.
            let isUnread = salvaged?.raw.files.contains { $0.name == name && $0.obstacle != nil } ?? false
            #expect(isUnread || name == StoreFiles.lockName, "\(name)")
        }
    }

    @Test("A link that has the name of a file to be written is removed, and what it leads to stays as it is")
    func linksInTheWay() async throws {
        let directory = try TemporaryDirectory()
        let path = try await Self.fill(directory)
        let outside = directory.path.appending("outside")
        _ = try PosixFileSystem().open(outside, .createNew)
        let next =
            try StoreLoader(directory: path, fileSystem: PosixFileSystem(), access: .readOnly).readManifest()
            .checkpointNumber + 1
        for (kind, number) in [(FileHeader.Kind.checkpoint, next), (.mirror, next), (.index, 2), (.index, 3)] {
            let link = path.appending(StoreFiles.name(kind, number))
            if (try? link.stat()) == nil { #expect(symlink(outside.string, link.string) == 0) }
        }
        let store = try await MemoStore.open(at: path)
        try await store.append(.spawning(4, under: 1))
        try await store.compact()
        try await store.close()
        #expect(try Self.bytes(outside).isEmpty)
        #expect(try StoreInspection(of: path).liveTasks == 9)
    }

    /// - Returns: where the store is, with files of every kind.
    private static func fill(_ directory: TemporaryDirectory) async throws -> FilePath {
        let path = directory.path.appending("store")
        let store = try await MemoStore.labelled(at: path)
        try await store.append(.spawning(1))
        try await store.append(.spawning(8, under: 1))
        try await store.append(.ending(2...5, under: 1))
        try await store.close()
        return path
    }

    private static func bytes(_ path: FilePath) throws -> [UInt8] {
        let file = try PosixFileSystem().open(path, .readOnly)
        let size = try file.size()
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    @Test("In a directory that anyone may write to the files are their user's alone, and a new one is private")
    func modes() async throws {
        let directory = try TemporaryDirectory()
        let shared = directory.path.appending("shared")
        #expect(mkdir(shared.string, 0o777) == 0 && chmod(shared.string, 0o777) == 0)
        for path in [shared, directory.path.appending("new")] {
            let store = try await MemoStore.labelled(at: path)
            try await store.append(.spawning(1))
            try await store.append(.spawning(8, under: 1))
            try await store.append(.ending(2...5, under: 1))
            try await store.compact()
            try await store.close()
            for name in try PosixFileSystem().list(path) {
                #expect(try path.appending(name).stat().permissions == .ownerReadWrite, "\(name)")
            }
        }
        #expect(try directory.path.appending("new").stat().permissions == .ownerReadWriteExecute)
    }

    @Test("A link to a directory of another file system is a store there", .enabled(if: access("/dev/shm", W_OK) == 0))
    func otherFileSystem() async throws {
        let directory = try TemporaryDirectory()
        let other = FilePath("/dev/shm/quern-\(getpid())-\(UInt64.random(in: 0 ... .max))")
        try PosixFileSystem().createDirectory(other)
        defer { try? FileManager.default.removeItem(atPath: other.string) }
        let link = directory.path.appending("link")
        #expect(symlink(other.string, link.string) == 0)
        let store = try await MemoStore.labelled(at: link)
        try await store.append(.spawning(1))
        try await store.append(.spawning(8, under: 1))
        try await store.append(.ending(2...5, under: 1))
        try await store.compact()
        try await store.close()
        let again = try await MemoStore.open(at: link)
        #expect(again.totals.live == 5)
        try await again.close()
    }

    @Test("A path that the system calls too long is an error that says so")
    func tooLong() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending(String(repeating: "n", count: 300))
        for failure in await Self.failures(at: path) {
            #expect(failure?.code == .inputOutput && failure?.cause?.errno == .fileNameTooLong)
        }
    }

    /// What somebody who owns nothing of a store gets: who opens it to write, and who reads it.
    private static func strangerFailures(at path: FilePath) async -> (writer: StoreError?, reader: StoreError?) {
        await withCheckedContinuation { continuation in
            Thread {
                // Of this thread alone. Who runs the tests is a stranger already, or may become one.
                if geteuid() == 0 { becomeNobody() }
                var failures: (writer: StoreError?, reader: StoreError?)
                do throws(StoreError) { try MemoStore.openBlocking(at: path).closeBlocking() } catch {
                    failures.writer = error
                }
                do throws(StoreError) { _ = try MemoReader.openBlocking(at: path) } catch { failures.reader = error }
                continuation.resume(returning: failures)
            }
            .start()
        }
    }

    /// The user whose rights this thread has to files, as Linux knows it; nil where it cannot be chosen.
    private static let setUser = dlsym(dlopen(nil, RTLD_NOW), "setfsuid").map {
        unsafeBitCast($0, to: (@convention(c) (UInt32) -> Int32).self)
    }

    private static func becomeNobody() { _ = setUser?(65534) }

    private static let canBeStranger = geteuid() != 0 || setUser != nil

    @Test(
        "Without the permission for a directory or its files opening is an error that says so",
        .enabled(if: canBeStranger), arguments: [0o000, 0o444] as [UInt32])
    func unreadable(mode: UInt32) async throws {
        let directory = try TemporaryDirectory()
        #expect(chmod(directory.path.string, 0o755) == 0)
        let path = try await Self.fill(directory)
        defer { chmod(path.string, 0o700) }
        #expect(chmod(path.string, mode) == 0)
        let failures = await Self.strangerFailures(at: path)
        for failure in [failures.writer, failures.reader] {
            #expect(failure?.code == .inputOutput && failure?.cause?.errno == .permissionDenied, "\(failures)")
        }
    }

    @Test("Who may read a store's files and not write them has a reader, and no writer", .enabled(if: canBeStranger))
    func readOnly() async throws {
        let directory = try TemporaryDirectory()
        #expect(chmod(directory.path.string, 0o755) == 0)
        let path = try await Self.fill(directory)
        defer { chmod(path.string, 0o700) }
        for name in try PosixFileSystem().list(path) { #expect(chmod(path.appending(name).string, 0o444) == 0) }
        #expect(chmod(path.string, 0o555) == 0)
        let failures = await Self.strangerFailures(at: path)
        #expect(failures.writer?.cause?.errno == .permissionDenied && failures.reader == nil, "\(failures)")
        #expect(try StoreInspection(of: path).liveTasks == 5)
    }
}
