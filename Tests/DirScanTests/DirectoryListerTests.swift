// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct DirectoryListerTests {
    private let directory = TemporaryDirectory()
    private let root = PathBytes([])

    private func names(_ list: NameList) -> Set<[UInt8]> { Set(list.map(Array.init)) }

    @Test func namesOfAnyBytes() throws {
        let odd: [[UInt8]] = [
            Array("new\nline".utf8), [0xFF, 0xFE], Array("back\\slash".utf8), [UInt8](repeating: 0xE9, count: 255),
            Array("...".utf8), Array(" ".utf8), Array("..xy".utf8), Array("-rf".utf8),
        ]
        for name in odd { directory.makeDirectory(name) }
        for name in odd { directory.makeFile(name.dropLast() + [0xC3], size: name.count) }
        let lister = try directory.lister()
        let listing = try lister.list(root)
        #expect(names(listing.subdirectories) == Set(odd))
        #expect(listing.subdirectories.count == odd.count)
        #expect(listing.entries.count == odd.count)
        #expect(Set(listing.entries.map(\.nameHash)) == Set(odd.map { Self.nameHash($0.dropLast() + [0xC3]) }))
        #expect(listing.bytes == UInt64(odd.map(\.count).reduce(0, +)))
        for name in listing.subdirectories { #expect(try lister.list(root.appending(name)).entries.isEmpty) }
    }

    private static func nameHash(_ name: [UInt8]) -> UInt64 {
        name.withUnsafeBytes { EntryRecord(name: $0, status: stat()).nameHash }
    }

    @Test func linksAreEntries() throws {
        directory.makeDirectory("real")
        directory.makeLink("loop", to: ".")
        directory.makeLink("up", to: "real")
        directory.makeLink("dangling", to: "nowhere")
        directory.makeLink("self", to: "self")
        let listing = try directory.lister().list(root)
        #expect(names(listing.subdirectories) == [Array("real".utf8)])
        #expect(listing.entries.count == 4)
        #expect(listing.bytes == 1 + 4 + 7 + 4)
    }

    @Test func linksAreNotFollowed() throws {
        directory.makeDirectory("real")
        directory.makeLink("link", to: "real")
        #expect(throws: ListingError(.notADirectory, at: PathBytes("link"))) {
            try directory.lister().list(PathBytes("link"))
        }
        #expect(throws: ListingError(.notADirectory, at: directory.path.appending("link"))) {
            try ScanRoot(directory.path.appending("link"))
        }
        let resolved = try ScanRoot.resolve(directory.path.appending("link"))
        #expect(resolved == directory.path.appending("real"))
    }

    @Test func missingDirectoriesAndFilesAreTypedErrors() throws {
        directory.makeFile("file")
        let lister = try directory.lister()
        #expect(throws: ListingError(.notFound, at: PathBytes("none"))) { try lister.list(PathBytes("none")) }
        #expect(throws: ListingError(.notADirectory, at: PathBytes("file"))) { try lister.list(PathBytes("file")) }
        #expect(throws: ListingError(.notADirectory, at: PathBytes("file/x"))) { try lister.list(PathBytes("file/x")) }
        let long = PathBytes([UInt8](repeating: 0x61, count: 300))
        #expect(throws: ListingError(.nameTooLong, at: long)) { try lister.list(long) }
        let endless = PathBytes([UInt8](repeating: 0x61, count: 9000))
        #expect(throws: ListingError(.nameTooLong, at: endless)) { try lister.list(endless) }
        #expect(throws: ListingError(.notFound, at: PathBytes("/no/such"))) { try ScanRoot(PathBytes("/no/such")) }
    }

    /// Root may read everything, so the directory is looked at by a process that is not root.
    @Test func unreadableDirectoriesAreTypedErrors() async {
        await #expect(processExitsWith: .success) {
            let directory = TemporaryDirectory()
            check(directory.path.withCString { chmod($0, 0o755) })
            for name in ["closed", "unsearchable"] {
                directory.makeDirectory(name)
                directory.makeFile("\(name)/file")
            }
            directory.changeMode("closed", 0o000)
            directory.changeMode("unsearchable", 0o444)
            if geteuid() == 0 { check(seteuid(65_534)) }
            defer { if getuid() == 0 { check(seteuid(0)) } }
            let lister = try directory.lister()
            for name in ["closed", "unsearchable"] {
                let failure = #expect(throws: ListingError.self) { try lister.list(PathBytes(name)) }
                #expect(failure?.reason == .permissionDenied)
                #expect(failure?.description == "permission denied: \(name)")
            }
            #expect(try lister.list(PathBytes([])).subdirectories.count == 2)
        }
    }

    /// 40 levels of 250 bytes each: the whole path is more than twice what one call takes.
    @Test func treesDeeperThanThePathLimit() throws {
        let name = [UInt8](repeating: UInt8(ascii: "d"), count: 250)
        var descriptor = directory.path.withCString { open($0, O_RDONLY | O_DIRECTORY) }
        var path = PathBytes([])
        for _ in 0..<40 {
            let next = PathBytes(name).withCString { name in
                check(mkdirat(descriptor, name, 0o755))
                return openat(descriptor, name, O_RDONLY | O_DIRECTORY)
            }
            check(next)
            close(descriptor)
            descriptor = next
            path = path.appending(name)
        }
        check(openat(descriptor, "bottom", O_WRONLY | O_CREAT, 0o644))
        close(descriptor)
        #expect(path.bytes.count > 2 * Int(PATH_MAX))

        let lister = try directory.lister()
        var walked = PathBytes([])
        var files = 0
        while true {
            let listing = try lister.list(walked)
            files += listing.entries.count
            guard let next = listing.subdirectories.first(where: { _ in true }) else { break }
            walked = walked.appending(next)
        }
        #expect(walked == path)
        #expect(files == 1)
        #expect(throws: ListingError(.notFound, at: path.appending("none"))) { try lister.list(path.appending("none")) }
    }

    /// Components of all lengths put the cut between two pieces at every possible place around the limit.
    @Test func cutsAtEachPlaceAroundThePathLimit() throws {
        for length in 180...210 {
            let directory = TemporaryDirectory()
            let name = [UInt8](repeating: UInt8(ascii: "x"), count: length)
            var descriptor = directory.path.withCString { open($0, O_RDONLY | O_DIRECTORY) }
            var path = PathBytes([])
            for _ in 0..<(Int(PATH_MAX) / length + 1) {
                let next = PathBytes(name).withCString { name in
                    check(mkdirat(descriptor, name, 0o755))
                    return openat(descriptor, name, O_RDONLY | O_DIRECTORY)
                }
                close(descriptor)
                descriptor = next
                path = path.appending(name)
            }
            close(descriptor)
            let lister = try directory.lister()
            #expect(try lister.list(path).entries.isEmpty)
            #expect(try lister.list(path.parent!).subdirectories.count == 1)
        }
    }

    @Test func emptyAndLargeDirectories() throws {
        #expect(try directory.lister().list(root).entries.isEmpty)
        for number in 0..<5000 { directory.makeFile("f\(number)", size: 2) }
        let listing = try directory.lister().list(root)
        #expect(listing.entries.count == 5000)
        #expect(listing.bytes == 10_000)
        #expect(zip(listing.entries, listing.entries.dropFirst()).allSatisfy(<))
    }

    @Test func otherFileSystemsAreLeftOutOnRequest() throws {
        let lister = DirectoryLister(root: try ScanRoot(PathBytes("/")), oneFileSystem: true)
        let everything = DirectoryLister(root: lister.root)
        let within = try lister.list(root)
        #expect(within.otherFileSystems.contains { Array($0) == Array("proc".utf8) })
        #expect(!within.subdirectories.contains { Array($0) == Array("proc".utf8) })
        let all = try everything.list(root)
        #expect(all.otherFileSystems.isEmpty)
        #expect(all.subdirectories.count == within.subdirectories.count + within.otherFileSystems.count)
        #expect(all.entries.count == within.entries.count)
    }

    /// Files that come and go while they are listed are there or not, and never an error.
    @Test func vanishingFilesAreNoError() throws {
        let stays = (0..<200).map { "stays\($0)" }
        for name in stays { directory.makeFile(name) }
        let lister = try directory.lister()
        let churn = Churn(directory)
        defer { churn.stop() }
        for _ in 0..<300 {
            let hashes = Set(try lister.list(root).entries.map(\.nameHash))
            #expect(hashes.isSuperset(of: stays.map { Self.nameHash(Array($0.utf8)) }))
        }
    }
}

/// A thread that creates and removes files all the time.
private final class Churn {
    private let thread: pthread_t
    private let flag: TemporaryDirectory

    init(_ directory: TemporaryDirectory) {
        flag = TemporaryDirectory()
        final class Box {
            let directory: TemporaryDirectory
            let flag: PathBytes
            init(_ directory: TemporaryDirectory, _ flag: PathBytes) {
                self.directory = directory
                self.flag = flag
            }
        }
        let box = Unmanaged.passRetained(Box(directory, flag.path.appending("stop")))
        var thread = pthread_t()
        check(
            -pthread_create(
                &thread, nil,
                { argument in
                    let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
                    while box.flag.withCString({ access($0, F_OK) }) != 0 {
                        for number in 0..<200 { box.directory.makeFile("comes\(number)") }
                        for number in 0..<200 { box.directory.remove("comes\(number)") }
                    }
                    return nil
                }, box.toOpaque()))
        self.thread = thread
    }

    func stop() {
        flag.makeFile("stop")
        pthread_join(thread, nil)
    }
}
