// SPDX-License-Identifier: Apache-2.0
@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A process that a test started, its output in files, so that it never waits for the test to read.
final class ChildProcess {
    enum Status: Equatable {
        case exited(Int32)
        case killed(Int32)
    }

    /// Where a stream of the process goes.
    enum Stream {
        case kept
        case closed
        /// Into a descriptor of the test's.
        case descriptor(Int32)
        case file(String)
    }

    let id: pid_t
    private let directory = TemporaryDirectory()
    private var status: Status?

    /// - Parameter arguments: the first one is the path of the program, or its name to be looked for in `PATH`.
    init(
        _ arguments: [[UInt8]], environment: [String]? = nil, workingDirectory: PathBytes? = nil,
        output: Stream = .kept, error: Stream = .kept
    ) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        Self.add(output, as: STDOUT_FILENO, kept: directory.path.appending("output"), to: &actions)
        Self.add(error, as: STDERR_FILENO, kept: directory.path.appending("error"), to: &actions)
        let enter = workingDirectory.map {
            ["sh", "-c", "cd \"$0\" && exec \"$@\""].map { Array($0.utf8) } + [$0.bytes]
        }
        var argv = ((enter ?? []) + arguments).map(Self.duplicate) + [nil]
        let variables = environment?.map { Self.duplicate(Array($0.utf8)) }
        defer { for text in argv + (variables ?? []) { free(text) } }
        guard let program = argv[0] else { preconditionFailure("nothing to run") }
        var id = pid_t()
        let result =
            if var variables = variables.map({ $0 + [nil] }) {
                posix_spawnp(&id, program, &actions, nil, &argv, &variables)
            } else {
                posix_spawnp(&id, program, &actions, nil, &argv, environ)
            }
        precondition(result == 0, "posix_spawnp failed with error \(result)")
        self.id = id
    }

    deinit {
        if status == nil {
            kill(id, SIGKILL)
            _ = wait()
        }
    }

    private static func duplicate(_ text: [UInt8]) -> UnsafeMutablePointer<CChar>? {
        PathBytes(text).withCString { strdup($0) }
    }

    private static func add(
        _ stream: Stream, as descriptor: Int32, kept: PathBytes, to actions: inout posix_spawn_file_actions_t
    ) {
        func open(_ path: PathBytes, _ flags: Int32) {
            _ = path.withCString { posix_spawn_file_actions_addopen(&actions, descriptor, $0, flags, 0o600) }
        }
        switch stream {
        case .kept: open(kept, O_WRONLY | O_CREAT | O_TRUNC)
        case .closed: posix_spawn_file_actions_addclose(&actions, descriptor)
        case .descriptor(let source): posix_spawn_file_actions_adddup2(&actions, source, descriptor)
        case .file(let path): open(PathBytes(path), O_WRONLY)
        }
    }

    func send(_ signal: Int32) {
        if status == nil { check(kill(id, signal)) }
    }

    /// The status of a process that has ended; nil while it runs.
    func poll() -> Status? { status ?? reap(WNOHANG) }

    /// Waits until the process has ended.
    func wait() -> Status {
        while true {
            if let status = status ?? reap(0) { return status }
        }
    }

    private func reap(_ options: Int32) -> Status? {
        var raw: Int32 = 0
        guard waitpid(id, &raw, options) == id else { return nil }
        status = raw & 0x7F == 0 ? .exited(raw >> 8 & 0xFF) : .killed(raw & 0x7F)
        return status
    }

    /// Waits until `condition` holds or the process has ended.
    ///
    /// - Returns: whether the condition holds and the process still runs.
    func runs(until condition: () -> Bool) -> Bool {
        while poll() == nil {
            if condition() { return poll() == nil }
            // Leaves the processor to the process for a moment. How long does not matter.
            _ = systemPoll(nil, 0, 1)
        }
        return false
    }

    /// What the process has written so far.
    var output: String { text("output") }
    var error: String { text("error") }

    private func text(_ name: String) -> String { String(decoding: directory.read(name), as: UTF8.self) }
}

/// `poll`, which a method of ``ChildProcess`` is called too.
private func systemPoll(_ descriptors: UnsafeMutablePointer<pollfd>?, _ count: nfds_t, _ timeout: Int32) -> Int32 {
    poll(descriptors, count, timeout)
}

/// Makes a pipe whose ends other processes do not inherit.
func makePipe() -> (outer: Int32, inner: Int32) {
    var ends: [Int32] = [0, 0]
    check(pipe(&ends))
    for end in ends { check(fcntl(end, F_SETFD, FD_CLOEXEC)) }
    return (ends[0], ends[1])
}
