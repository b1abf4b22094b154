// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore
import QuernTesting
import SystemPackage

/// `quern-bench pending`: what tasks take in memory that wait to run.
struct Pending: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Memory of children that are pending, and of the same when they have ended.")

    @Flag(help: "Print a line of JSON a figure instead of the table.") var json = false
    @Option(help: "What the children have; each in a process of its own when left out.") var shape: FanOut.Shape?
    @Option(help: "Children that wait.") var children = 2_000_000

    func run() async throws {
        guard let shape else {
            for shape in FanOut.Shape.allCases {
                try OwnProcess.run(
                    ["pending", "--shape", shape.rawValue, "--children", "\(children)"] + (json ? ["--json"] : []))
            }
            return
        }
        let directory = try TemporaryDirectory()
        let store = try await MemoStore.open(at: directory.path.appending("store"))
        let scheduler = try await TaskScheduler(store: store) {
            $0.register(NoOperation())
            $0.register(FanOut())
        }
        async let service: Void = scheduler.run()
        // What a first tree leaves behind: buffers that are used again.
        _ = try await scheduler.submit(FanOut.Work(children: 100_000, shape: shape)).memo()
        ProcessMemory.giveBack()
        let before = ProcessMemory.resident
        try scheduler.setConcurrency(0, for: .type(NoOperation.Work.type))
        let parent = try await scheduler.submit(FanOut.Work(children: children, shape: shape))
        while scheduler.progress(of: parent.id)?.liveChildren != UInt64(children) {
            try await Task.sleep(for: .milliseconds(20))
        }
        // A checkpoint is under way that the spawns made due.
        try await Task.sleep(for: .seconds(3))
        ProcessMemory.giveBack()
        let pending = ProcessMemory.resident
        let tables = try store.sizes().liveMemoryBytes
        try scheduler.setConcurrency(nil, for: .type(NoOperation.Work.type))
        _ = try await parent.memo()
        ProcessMemory.giveBack()
        let ended = ProcessMemory.resident
        func perChild(_ bytes: Int) -> Double { Double(bytes - before) / Double(children) }
        var report = Report("pending", "\(children.text) children of one parent, \(shape.title)")
        report.add(Figure("while they wait", "bytes a child", [perChild(pending)]))
        report.add(
            Figure("of that what the store knows of them", "bytes a child", [Double(tables) / Double(children)]))
        report.add(Figure("when they have ended", "bytes a child", [perChild(ended)]))
        report.print(asJSON: json)
        scheduler.triggerGracefulShutdown()
        try await service
    }
}
