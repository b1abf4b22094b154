// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Dispatch
import Quern
import QuernStore
import QuernTesting
import Synchronization
import SystemPackage

/// Everything at once for a long time, to see whether memory and descriptors stay level: trees of tasks and single
/// tasks from many producers, retention and compaction behind them, a reader in another process, and a stop in the
/// middle of the work at each eighth of the time.
struct Endurance: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A scheduler under full load for a long time: memory and descriptors, as figures and a picture.")

    @Option(help: "How long.") var seconds = 60
    @Option(help: "A directory that exists, for endurance.svg and endurance.txt.") var directory: String?

    private static let treeProducers = 2
    private static let treeChildren = 20_000
    private static let singleProducers = 64
    private static let stops = 8

    func run() async throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path.appending("store")
        try await Self.makeStore(path)
        let counts = EnduranceCounts()
        let samples = Mutex<[EnduranceSample]>([])
        let start = ContinuousClock.now
        let end = start + .seconds(seconds)
        let reading = Mutex<Result<[Double], any Error>?>(nil)
        let reader = Task.detached {
            // Not of the cooperative pool: a thread waits for the other process.
            await withCheckedContinuation { continuation in
                DispatchQueue.global().async {
                    let arguments = ["endurance-reader", path.string, "\(seconds)"]
                    let result = Result { try OwnProcess.numbers(arguments, count: 3) }
                    reading.withLock { $0 = result }
                    continuation.resume()
                }
            }
        }
        let sampling = Task {
            while !Task.isCancelled {
                let sample = EnduranceSample(
                    seconds: (ContinuousClock.now - start).inSeconds, storeBytes: (try? bytesOnDisk(path)) ?? 0,
                    ended: counts.ended.load(ordering: .relaxed))
                samples.withLock { $0.append(sample) }
                try? await Task.sleep(for: .seconds(max(1, seconds / 600)))
            }
        }
        for stop in 1...Self.stops {
            let until = start + .seconds(seconds) * stop / Self.stops
            try await live(path, until: min(until, end), counts)
        }
        sampling.cancel()
        await reader.value
        let read = try reading.withLock { try $0?.get() } ?? [0, 0, 0]
        let report = EnduranceReport(
            samples: samples.withLock { $0 }, trees: counts.trees.load(ordering: .relaxed),
            singles: counts.singles.load(ordering: .relaxed), stops: Self.stops, scans: Int(read[0]),
            childrenRead: Int(read[1]), readerPeak: Int(read[2]))
        print(report.text)
        guard let directory else { return }
        let target = FilePath(directory)
        try replaceFile(target.appending("endurance.svg"), with: report.drawing.svg)
        try replaceFile(target.appending("endurance.txt"), with: report.text + "\n")
    }

    private static func makeStore(_ path: FilePath) async throws {
        try await scheduler(path).close()
    }

    private static func scheduler(_ path: FilePath) async throws -> TaskScheduler {
        var configuration = TaskScheduler.Configuration()
        configuration.store.compactionBytesPerSecond = 64 << 20
        configuration.store.retention = .init(RetentionPolicy(bytes: 64 << 20), now: { Timestamp(milliseconds: 0) })
        return try await TaskScheduler(storeAt: path, configuration: configuration) {
            $0.register(NoOperation())
            $0.register(FanOut())
        }
    }

    /// One life of the scheduler, which is stopped while its producers have tasks under way.
    private func live(_ path: FilePath, until end: ContinuousClock.Instant, _ counts: EnduranceCounts) async throws {
        let scheduler = try await Self.scheduler(path)
        let service = Task { try await scheduler.run() }
        counts.isStopping.store(false, ordering: .relaxed)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.treeProducers {
                group.addTask {
                    while let memo = try? await scheduler.submit(FanOut.Work(children: Self.treeChildren)).memo() {
                        counts.addTree(memo.sum, of: Self.treeChildren)
                    }
                    counts.noteEnd("a tree")
                }
            }
            for _ in 0..<Self.singleProducers {
                group.addTask {
                    while let memo = try? await scheduler.submit(NoOperation.Work(number: 1)).memo() {
                        counts.addSingle(memo)
                    }
                    counts.noteEnd("a single task")
                }
            }
            try? await Task.sleep(until: end)
            counts.isStopping.store(true, ordering: .relaxed)
            scheduler.triggerGracefulShutdown()
        }
        try await service.value
        if let failure = counts.failure.withLock({ $0 }) { throw EngineFailure("quern", "endurance", failure) }
    }
}

/// What producers count.
private final class EnduranceCounts: Sendable {
    let trees = Atomic(0)
    let singles = Atomic(0)
    let ended = Atomic(0)
    /// From then on tasks may fail.
    let isStopping = Atomic(false)
    let failure = Mutex<String?>(nil)

    /// A producer ends: at the stop, or because something failed.
    func noteEnd(_ what: String) {
        if !isStopping.load(ordering: .relaxed) { fail("\(what) failed before the stop") }
    }

    func fail(_ reason: String) { failure.withLock { $0 = $0 ?? reason } }

    func addTree(_ sum: UInt64, of children: Int) {
        if sum != UInt64(children) { fail("a tree of \(children) added up to \(sum)") }
        trees.add(1, ordering: .relaxed)
        ended.add(children + 1, ordering: .relaxed)
    }

    func addSingle(_ memo: NoOperation.Work.Memo) {
        if memo.discovered != 1 { fail("a single task left \(memo)") }
        singles.add(1, ordering: .relaxed)
        ended.add(1, ordering: .relaxed)
    }
}

/// The other process of ``Endurance``: reads the store that is written, again and again.
struct EnduranceReader: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endurance-reader", abstract: "Read a store in use, and print scans, children and peak memory.",
        shouldDisplay: false)

    @Argument var path: String
    @Argument var seconds: Int

    func run() throws {
        let reader = try MemoReader.openBlocking(at: FilePath(path))
        let end = ContinuousClock.now + .seconds(seconds)
        var (scans, children) = (0, 0)
        var block = ChildBlock()
        while ContinuousClock.now < end {
            do throws(StoreError) {
                _ = try reader.refreshBlocking()
                var roots: [TaskID] = []
                var cursor = try reader.children(of: .none).makeCursor(columns: .facts)
                while try cursor.next(into: &block) {
                    for index in 0..<block.count { roots.append(block.id(at: index)) }
                }
                for root in roots.suffix(50) {
                    var cursor = try reader.children(of: root).makeCursor(columns: .memos)
                    while try cursor.next(into: &block) { children += block.count }
                    scans += 1
                }
            } catch {
                // Files that were replaced since the view was made.
                guard error.code == .storeChanged else { throw error }
            }
        }
        print(scans, children, ProcessMemory.peak)
    }
}
