// SPDX-License-Identifier: Apache-2.0
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

    @Test("A directory that may not be read is an error that says so", .enabled(if: getuid() != 0))
    func unreadable() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try await MemoStore.open(at: path).close()
        #expect(chmod(path.string, 0) == 0)
        defer { chmod(path.string, 0o700) }
        for failure in await Self.failures(at: path) {
            #expect(failure?.code == .inputOutput && failure?.cause?.errno == .permissionDenied)
        }
    }
}
