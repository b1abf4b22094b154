// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

/// The command as a process of its own, which is killed while it works.
@Suite("quern compact as a process (S15)")
struct CompactProcessTests {
    /// `QUERN_KILLS`: how often.
    private static let kills = ProcessInfo.processInfo.environment["QUERN_KILLS"].flatMap { Int($0) } ?? 10

    private static func exported(_ store: FilePath) throws -> String {
        var output = Output.captured()
        let command = try #require(try QuernTool.parseAsRoot(["export", store.string]) as? Export)
        #expect(command.perform(into: &output).rawValue == 0, "\(output.warnings)")
        return output.text
    }

    @Test("S15: killed again and again at any moment, it loses no child, and ends when it is let")
    func killed() throws {
        let sample = try SampleStore(seed: 8, children: 3000)
        let expected = try Self.exported(sample.path)
        let seed =
            ProcessInfo.processInfo.environment["QUERN_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 0...UInt64(UInt32.max))
        var random = SeededGenerator(seed: seed)
        // How long it takes, in looks at the directory.
        var looks = try Self.compact(sample.path, killedAfter: nil)
        var killed = 0
        for round in 0..<Self.kills {
            let limit = random.below(max(looks, 2))
            let seen = try Self.compact(sample.path, killedAfter: limit)
            if seen >= limit { killed += 1 } else { looks = max(seen, 1) }
            let isSame = try Self.exported(sample.path) == expected
            #expect(isSame, "killed \(round + 1) times, then after \(limit) looks, QUERN_SEED=\(seed)")
        }
        #expect(killed > 0)
        // A writer removes what the killed ones left.
        try MemoStore.openBlocking(at: sample.path).closeBlocking()
        _ = try Self.compact(sample.path, killedAfter: nil)
        #expect(try Self.exported(sample.path) == expected)
    }

    /// Runs the command, and kills it after so many looks at the directory. Returns how many there were.
    private static func compact(_ store: FilePath, killedAfter limit: Int?) throws -> Int {
        let process = Process()
        process.executableURL = try ToolProcess.executable()
        process.arguments = ["compact", store.string]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        var looks = 0
        while process.isRunning {
            if let limit, looks >= limit {
                kill(process.processIdentifier, SIGKILL)
                break
            }
            _ = try? PosixFileSystem().list(store)
            looks += 1
        }
        process.waitUntilExit()
        return looks
    }
}
