// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernStore
import SystemPackage

/// The rounds of one scenario: starts services, ends them, and compares what they were told with their store.
struct Loop {
    let options: LoopOptions
    let seed: UInt64
    /// Where the scenario may leave what it wants; the store is below it.
    let directory: URL
    var store: URL
    var random: LoopRandom
    var ledger = Ledger()
    private(set) var round = 0
    private var started = 0
    /// Some service of this store had retention at work.
    private var retains = false

    /// A second may be long on a machine that does other things.
    static let patience = 60.0

    private init(_ name: String, _ options: LoopOptions) throws {
        self.options = options
        let environment = ProcessInfo.processInfo.environment["QUERN_SEED"].flatMap { UInt64($0) }
        seed = options.seed ?? environment ?? UInt64.random(in: 0..<1_000_000)
        random = LoopRandom(seed: seed)
        let parent = options.directory.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
        directory = parent.appendingPathComponent("crashloop-\(name)-\(UUID().uuidString)")
        store = directory.appendingPathComponent("store")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// Returns whether nothing was found wrong.
    static func run(_ scenario: some Scenario, name: String, _ options: LoopOptions) -> Bool {
        var loop: Loop
        do { loop = try Loop(name, options) } catch {
            print("\(name): \(error)")
            return false
        }
        do {
            try scenario.run(&loop)
            for line in loop.ledger.figures.lines { print("\(name): \(line)") }
            try? FileManager.default.removeItem(at: loop.directory)
            return true
        } catch let reason as LeftOut {
            print("\(name): left out: \(reason.description)")
            try? FileManager.default.removeItem(at: loop.directory)
            return true
        } catch {
            print("\(name): VIOLATION with seed \(loop.seed) in round \(loop.round): \(error)")
            for line in loop.ledger.figures.lines.dropFirst() { print("\(name): until then: \(line)") }
            print("\(name): the store is kept: \(loop.directory.path)")
            return false
        }
    }

    // MARK: Services

    /// Begins a round, and starts a service in it.
    mutating func start(limits: String = "", _ arguments: [String] = []) throws -> ServiceProcess {
        round += 1
        ledger.figures.rounds += 1
        if arguments.contains("--keep") { retains = true }
        return try service(limits: limits, arguments)
    }

    /// Starts a service. Its tasks have numbers of their own.
    mutating func service(limits: String = "", _ arguments: [String]) throws -> ServiceProcess {
        started += 1
        let first = (seed & 0x7FFF) << 48 | UInt64(started) << 28
        return try ServiceProcess(limits: limits, [store.path, "--first-number", "\(first)"] + arguments)
    }

    /// Kills a service if it runs, takes in what it said, and compares.
    mutating func killAndCompare(_ service: ServiceProcess) throws {
        if service.isRunning {
            service.kill()
            ledger.figures.kills += 1
            if service.count("o") == 0 { ledger.figures.killsInOpening += 1 }
        }
        try end(service)
        try compare()
    }

    /// Takes in what a service said that has ended or will.
    ///
    /// - Parameter count: how many bytes of it count.
    @discardableResult
    mutating func end(_ service: ServiceProcess, first count: Int = .max) throws -> ServiceProcess.End {
        let (end, acknowledgements, torn) = service.end(first: count)
        if torn > 0 { ledger.figures.events["lines cut short", default: 0] += torn }
        try ledger.add(acknowledgements)
        if end != .signal(SIGKILL) { ledger.figures.ends["\(end)", default: 0] += 1 }
        // Ending in order, and saying why it cannot go on, is all that a service may do by itself.
        if end == .exit(0) || end == .exit(Serve.failed) || end == .signal(SIGKILL) { return end }
        guard allowed.contains(end) else { throw Violation("the service ended with \(end)") }
        return end
    }

    /// Other ends that the scenario brings about.
    var allowed: [ServiceProcess.End] = []

    mutating func compare(isAtRest: Bool = false) throws {
        var check: LedgerCheck
        do { check = try LedgerCheck(FilePath(store.path), retains: retains) } catch let error as StoreError {
            // Killed before there was a store.
            guard error.code == .notFound, ledger.roots.isEmpty, ledger.gone.isEmpty else { throw error }
            ledger.figures.comparisons += 1
            return
        }
        do { try check.run(&ledger, isAtRest: isAtRest) } catch {
            keep()
            throw error
        }
    }

    /// Copies the store from a file system that goes with the scenario.
    private func keep() {
        let place = directory.appendingPathComponent("kept")
        if store.deletingLastPathComponent().path != directory.path {
            try? FileManager.default.copyItem(at: store, to: place)
        }
    }

    /// Looks at every byte of the store.
    mutating func verify() throws {
        let found: StoreVerification
        do { found = try StoreVerifier.verify(at: FilePath(store.path)) } catch {
            guard error.code == .notFound, ledger.roots.isEmpty, ledger.gone.isEmpty else { throw error }
            return
        }
        ledger.figures.verifications += 1
        ledger.figures.bytes += found.bytes
        if found.isDamaged {
            throw Violation("verify finds damage: \(found.findings.prefix(3).map { "\($0.file): \($0.what)" })")
        }
    }

    /// Lets all that is there come to its end, compares a last time, and begins with an empty ledger of a new store.
    mutating func drain() throws {
        if options.invent != nil {
            let service = try service([])
            try requireProgress(service, "begun for an invention")
            try killAndCompare(service)
        }
        let last = try service(["--drain"])
        let end = try end(last)
        guard end == .exit(0) else { throw Violation("nothing was in the way, and the service ended with \(end)") }
        if let invention = options.invent { try invent(invention) }
        try compare(isAtRest: true)
        try verify()
    }

    private mutating func invent(_ what: Invention) throws {
        let root = ledger.roots.first { $0.value.told != nil && !$0.value.isDropping }
        let id = root?.key ?? 0
        let claim: Acknowledgement =
            switch what {
            case .submit: .submitted(id: ledger.lastKnownID + 1, number: 1, isWave: false)
            case .outcome: .ended(id: ledger.lastKnownID, kind: 1, value: 1)
            case .drop: .dropped(id: id)
            case .value: .stored(value: .max)
            }
        try ledger.add([claim])
    }

    /// Begins anew, elsewhere.
    mutating func beginNewStore(at place: URL) {
        store = place
        let figures = ledger.figures
        ledger = Ledger()
        ledger.figures = figures
        retains = false
    }

    /// Requires that a service goes on by itself: that more of its tasks end.
    mutating func requireProgress(_ service: ServiceProcess, _ occasion: String) throws {
        let before = service.count("e")
        guard service.wait(for: "e", before + 20, seconds: Self.patience) else {
            let (ended, said, _) = service.isRunning ? (nil, [], 0) : service.end()
            throw Violation(
                "\(occasion), and nothing goes on: \(ended.map { "\($0)" } ?? "it runs"), \(said.suffix(3))")
        }
        ledger.figures.events["went on by itself: \(occasion)", default: 0] += 1
    }
}

/// Why a scenario cannot be run here.
struct LeftOut: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
