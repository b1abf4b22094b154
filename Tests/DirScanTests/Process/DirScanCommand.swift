// SPDX-License-Identifier: Apache-2.0
import BuiltPrograms
import Foundation

@testable import DirScanKit

/// The `dirscan` that was built with the tests.
enum DirScanCommand {
    static let executable: PathBytes = {
        guard let url = try? BuiltProgram.url("dirscan") else {
            preconditionFailure("no dirscan beside the tests: was it built with them?")
        }
        return PathBytes(url.path)
    }()

    /// Starts a scan.
    ///
    /// - Parameters:
    ///   - launcher: what runs the command: `["setpriv", "--reuid", ...]`.
    ///   - options: in front of the path and the store.
    static func start(
        _ path: PathBytes, store: PathBytes, _ options: [String] = ["--json"], launcher: [String] = [],
        executable: PathBytes = executable, workingDirectory: PathBytes? = nil,
        output: ChildProcess.Stream = .kept, error: ChildProcess.Stream = .kept
    ) -> ChildProcess {
        start(
            options.map { Array($0.utf8) } + [path.bytes, Array("--store".utf8), store.bytes], launcher: launcher,
            executable: executable, workingDirectory: workingDirectory, output: output, error: error)
    }

    /// Starts the command with just these arguments.
    static func start(
        _ arguments: [[UInt8]], launcher: [String] = [], executable: PathBytes = executable,
        environment: [String]? = nil, workingDirectory: PathBytes? = nil,
        output: ChildProcess.Stream = .kept, error: ChildProcess.Stream = .kept
    ) -> ChildProcess {
        ChildProcess(
            launcher.map { Array($0.utf8) } + [executable.bytes] + arguments, environment: environment,
            workingDirectory: workingDirectory, output: output, error: error)
    }
}

/// What `dirscan --json` printed.
struct ScanResult: Decodable, Equatable {
    struct Failure: Decodable, Equatable {
        var reason: String
        var count: UInt64
        var samples: [String]
    }

    /// What must be the same however often the scan was killed.
    struct Totals: Equatable {
        var directories, files, bytes, discovered, skipped, deleted, failed: UInt64
    }

    var directories, files, bytes, discovered, skipped, deleted, failed: UInt64
    var failures: [Failure]
    var resumed: Bool
    var seconds, finalizeSeconds: Double
    var peakResidentBytes: UInt64

    var totals: Totals {
        Totals(
            directories: directories, files: files, bytes: bytes, discovered: discovered, skipped: skipped,
            deleted: deleted, failed: failed)
    }

    /// Discovered, skipped and deleted.
    var changes: [UInt64] { [discovered, skipped, deleted] }
}

/// Why a run has no result.
struct NoResult: Error {
    var status: ChildProcess.Status
    var output: String
    var error: String
}

extension ChildProcess {
    /// Waits for the end, and reads the one line of JSON.
    func result(_ expected: Int32 = 0) throws -> ScanResult {
        let status = wait()
        guard status == .exited(expected), output.hasSuffix("\n"), !output.dropLast().contains("\n") else {
            throw NoResult(status: status, output: output, error: error)
        }
        return try JSONDecoder().decode(ScanResult.self, from: Data(output.utf8))
    }
}

/// Scans a tree with a store of the test's, and returns the report.
func scan(_ path: PathBytes, store: PathBytes, _ options: [String] = ["--json"]) throws -> ScanResult {
    try DirScanCommand.start(path, store: store, options).result()
}
