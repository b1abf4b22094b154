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
    ///
    /// - Parameter isKilled: whether its end is that it kills itself, as ``die()`` does.
    static func output(_ arguments: [String], isKilled: Bool = false) throws -> String {
        let pipe = try FileDescriptor.pipe()
        let result = start(arguments, output: pipe.writeEnd, closing: pipe.readEnd, isKilled: isKilled) {
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

    /// Ends this process as a kill from outside would: nothing is closed, nothing more is written.
    static func die() -> Never {
        fflush(nil)
        kill(getpid(), SIGKILL)
        while true { pause() }
    }

    /// The numbers of what one more of this program printed.
    static func numbers(_ arguments: [String], count: Int, isKilled: Bool = false) throws -> [Double] {
        let text = try output(arguments, isKilled: isKilled)
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        guard numbers.count == count else {
            throw EngineFailure("quern-bench", arguments.joined(separator: " "), "printed \(text)")
        }
        return numbers
    }

    private static func start(
        _ arguments: [String], output: FileDescriptor?, closing other: FileDescriptor? = nil,
        isKilled: Bool = false, while reading: () -> String = { "" }
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
        let expected = isKilled ? SIGKILL : 0
        return status == expected ? .success(text) : .failure(Failure(arguments: arguments, status: status >> 8 & 0xFF))
    }
}
