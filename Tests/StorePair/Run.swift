// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// Runs both processes on a store of their own, and the writer again each time that it was killed.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run a writer and a reader at once.")

    @Option(help: "Write for so many seconds.")
    var seconds: UInt64?

    @Option(help: "Write so many transactions.")
    var transactions: UInt64?

    @Option(help: "What the writer does is drawn from this.")
    var seed = UInt64.random(in: 0..<1_000_000)

    func validate() throws {
        guard seconds != nil || transactions != nil else { throw ValidationError("say for how long") }
    }

    func run() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("storepair-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = directory.path
        let reader = try start(["read", store])
        defer { if reader.isRunning { kill(reader.processIdentifier, SIGKILL) } }
        var extent = ["--seed", "\(seed)"]
        if let transactions { extent += ["--transactions", "\(transactions)"] }
        if let seconds { extent += ["--until", "\(UInt64(Date().timeIntervalSince1970) + seconds)"] }
        var kills = 0
        while true {
            let writer = try start(["write", store] + extent)
            writer.waitUntilExit()
            guard writer.terminationReason == .uncaughtSignal, writer.terminationStatus == SIGKILL else {
                guard writer.terminationReason == .exit, writer.terminationStatus == 0 else {
                    throw Wrong("seed \(seed): the writer failed with \(writer.terminationStatus)")
                }
                break
            }
            kills += 1
            guard reader.isRunning else { break }
        }
        reader.waitUntilExit()
        guard reader.terminationReason == .exit, reader.terminationStatus == 0 else {
            throw Wrong("seed \(seed): the reader failed with \(reader.terminationStatus)")
        }
        print("seed \(seed): the writer was killed \(kills) times")
    }

    private func start(_ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = Bundle.main.executableURL
        process.arguments = arguments
        try process.run()
        return process
    }
}
