// SPDX-License-Identifier: Apache-2.0
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// This program again, in a process of its own: for figures that what was measured before must not disturb.
enum OwnProcess {
    struct Failure: Error, CustomStringConvertible {
        var arguments: [String]
        var status: Int32
        var description: String { "quern-bench \(arguments.joined(separator: " ")) ended with status \(status)" }
    }

    /// Runs it to its end, with the same standard output.
    static func run(_ arguments: [String]) throws {
        _ = try start(arguments, output: nil).get()
    }

    /// Runs it to its end and returns what it printed.
    static func output(_ arguments: [String]) throws -> String {
        let pipe = try FileDescriptor.pipe()
        let result = start(arguments, output: pipe.writeEnd, closing: pipe.readEnd) {
            try? pipe.writeEnd.close()
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4096)
            while let count = try? chunk.withUnsafeMutableBytes({ try pipe.readEnd.read(into: $0) }), count > 0 {
                bytes.append(contentsOf: chunk[..<count])
            }
            try? pipe.readEnd.close()
            return String(decoding: bytes, as: UTF8.self)
        }
        return try result.get()
    }

    private static func start(
        _ arguments: [String], output: FileDescriptor?, closing other: FileDescriptor? = nil,
        while reading: () -> String = { "" }
    ) -> Result<String, Failure> {
        #if os(Linux)
            let program = "/proc/self/exe"
        #else
            let program = CommandLine.arguments[0]
        #endif
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output.rawValue, 1)
            posix_spawn_file_actions_addclose(&actions, output.rawValue)
        }
        if let other { posix_spawn_file_actions_addclose(&actions, other.rawValue) }
        var argv = (["quern-bench"] + arguments).map { strdup($0) } + [nil]
        defer { for text in argv { free(text) } }
        // What was printed so far comes before what the other process prints.
        fflush(nil)
        var id = pid_t()
        let error = posix_spawn(&id, program, &actions, nil, &argv, environ)
        guard error == 0 else { return .failure(Failure(arguments: arguments, status: error)) }
        let text = reading()
        var status: Int32 = 0
        while waitpid(id, &status, 0) == -1, errno == EINTR {}
        return status == 0 ? .success(text) : .failure(Failure(arguments: arguments, status: status >> 8 & 0xFF))
    }
}
