// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The progress line, seen as by a terminal.
@Suite(.enabled(if: access("/dev/ptmx", R_OK | W_OK) == 0)) struct ScanTerminalTests {
    private let directory = TemporaryDirectory()
    private var store: PathBytes { directory.path.appending("store") }
    private var tree: PathBytes { directory.path.appending("tree") }

    private static let erase = "\r\u{1B}[K"

    @Test func progressShowsAndErasesItself() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 400, generator: &generator)
        let terminal = Terminal()
        let command = DirScanCommand.start(tree, store: store, error: .descriptor(terminal.inner))
        let shown = terminal.readAll()
        #expect(try command.result().directories == 400)
        #expect(shown.hasSuffix(Self.erase))
        let lines = shown.split(separator: Self.erase, omittingEmptySubsequences: true)
        #expect(!lines.isEmpty && !shown.contains("\n"), "\(shown)")
        for line in lines {
            #expect(line.wholeMatch(of: /\d+ directories, \d+ pending, \d+\/s, \d+\.\d s/) != nil, "\(line)")
        }
    }

    @Test func noProgressWhereNoneIsWanted() throws {
        directory.makeDirectory("tree")
        let terminal = Terminal()
        let command = DirScanCommand.start(
            tree, store: store, ["--json", "--no-progress"], error: .descriptor(terminal.inner))
        #expect(terminal.readAll().isEmpty)
        #expect(try command.result().directories == 1)
    }

    /// The progress line must not keep a scan alive that was told to stop.
    @Test(arguments: [SIGINT, SIGTERM]) func stoppedUnderAProgressLine(_ signal: Int32) throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 1500, generator: &generator)
        var stops = 0
        for round in 0..<5 where stops == 0 {
            let terminal = Terminal()
            let name = "stopped\(round)"
            let command = DirScanCommand.start(
                tree, store: directory.path.appending(name), error: .descriptor(terminal.inner))
            if command.runs(until: { directory.size(of: "\(name)/tasks") > 100_000 }) { command.send(signal) }
            let shown = terminal.readAll()
            guard command.wait() == .exited(130) else { continue }
            stops += 1
            #expect(shown.hasSuffix(Self.erase + "dirscan: interrupted; start it again to go on\r\n"), "\(shown)")
            #expect(try scan(tree, store: directory.path.appending(name)).resumed)
        }
        #expect(stops > 0, "no scan was caught while it ran")
    }
}

/// Both ends of a pseudo-terminal.
final class Terminal {
    private let outer: Int32
    /// For the process.
    private(set) var inner: Int32

    init() {
        outer = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        check(outer)
        // `unlockpt` and `ptsname`, which Glibc's module does not show: TIOCSPTLCK and TIOCGPTN.
        var (lock, number): (Int32, Int32) = (0, 0)
        check(ioctl(outer, 0x4004_5431, &lock))
        check(ioctl(outer, 0x8004_5430, &number))
        inner = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        check(inner)
    }

    deinit {
        close(outer)
        if inner >= 0 { close(inner) }
    }

    /// What is shown until no process has the terminal open any more.
    func readAll() -> String {
        close(inner)
        inner = -1
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(outer, &part, part.count)
            if count > 0 { text += part[..<count] } else if count == 0 || errno != EINTR { break }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
