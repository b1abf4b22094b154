// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import Quern
@testable import QuernStore

/// What goes wrong beside crashes: calls that fail, writes that are cut short, disks that fill up, bits that flip.
extension LifeModel {
    /// Has a call of some kind fail soon: most often one that changes something, once or from then on.
    mutating func failCall() {
        var plan = process.files.faults
        let call = random.pick(FaultTally.calls)
        let ordinal = 1 + random.below(call == .read || call == .write ? 40 : 8)
        let errno = random.pick([.ioError, .ioError, .noSpace, Self.shortage(of: call), .permissionDenied])
        plan.fail(
            call, at: ordinal, with: errno, random.chance(1, in: 4) ? .fromThenOn : .once,
            bytesWritten: call == .write ? random.below(600) : 0)
        plan.failedSynchronizeKeepsData = random.coin()
        process.files.faults = plan
        notePlan(of: call, errno)
        note("\(call) \(ordinal) \(errno)")
    }

    private mutating func notePlan(of call: FileCall, _ errno: Errno) {
        if Self.isShortage(call, errno) { return }
        hasLastingFault = true
        world.with { $0.mayHaveLost = true }
    }

    /// What a call says that lacks something beside space.
    private static func shortage(of call: FileCall) -> Errno { call == .map ? .noMemory : .tooManyOpenFiles }

    /// Whether a call fails for want of something that may be there again soon.
    private static func isShortage(_ call: FileCall, _ errno: Errno) -> Bool {
        switch errno {
        case .noSpace: !FaultTally.doubts.contains(call)
        case .tooManyOpenFiles: call == .open || call == .list
        case .noMemory: call == .map
        default: false
        }
    }

    mutating func fillDisk() {
        var plan = process.files.faults
        let room = random.pick([0, 100, 3000, 20_000])
        plan.capacity = process.files.usedBytes + random.below(room + 1)
        plan.capacityErrno = random.pick([.noSpace, .diskQuotaExceeded])
        plan.fullDiskTakesWhatFits = random.coin()
        process.files.faults = plan
        note("\(room)")
    }

    /// There is space again, and no call fails any more.
    mutating func mend() async throws {
        process.files.faults = FaultPlan()
        try await advance(by: 600)
        if process.isOver || hasLastingFault { return }
        try await process.settle()
        if process.core.read({ $0.dispatcher.isStalled }) { throw Trouble("nothing is short, and it waits on") }
        do { try await submit() } catch { throw Trouble("nothing is short, and a submit fails: \(error)") }
    }

    /// Flips a bit in a copy of the files as a process that died would leave them: who reads the copy is told of the
    /// damage, or sees what there is without it.
    ///
    /// Not in the log segment that is written: its end may look as if it had never been acknowledged.
    mutating func damage() throws {
        let intact = process.files.crash(keeping: .keepAll)
        let newest = try intact.list("/store").filter { $0.hasPrefix("log-") }.max()
        let names = try intact.list("/store").filter { name in
            name != newest && StoreFiles.parse(name) != nil || name == StoreFiles.manifestName
        }
        let name = random.pick(names.sorted())
        let path = FilePath("/store").appending(name)
        guard let size = intact.contents(path)?.count, size > 0 else { return }
        let (offset, bit) = (random.below(size), random.below(8))
        note("\(name) \(offset) \(bit)")
        let damaged = intact.crash(keeping: .keepAll)
        try damaged.flipBit(in: path, atByte: offset, bit: bit)
        let place = "bit \(bit) of byte \(offset) of \(name)"
        if verifyFinds(intact) { world.report("verify finds damage where there is none") }
        let isFound = verifyFinds(damaged)
        let expected = try shown(by: intact)
        do {
            let found = try shown(by: damaged)
            if found != expected { world.report("\(place) shows something else, without a word") }
            tally?.count(isFound ? .told : .harmless)
        } catch {
            if ![.damaged, .notAStore, .unsupportedVersion, .notFound].contains(error.code) {
                world.report("\(place) is told as \(error)")
            }
            if !isFound { world.report("\(place): \(error), and verify finds nothing") }
            tally?.count(.told)
        }
    }

    private func verifyFinds(_ files: SimulatedFileSystem) -> Bool {
        let files = files.crash(keeping: .keepAll)
        let found = Result { try StoreVerifier.verify(at: "/store", fileSystem: files, options: .init(threads: 1)) }
        guard case .success(let verification) = found else { return true }
        return verification.isDamaged
    }

    /// All that a store says, as text: opened as a writer does, and closed.
    private func shown(by files: SimulatedFileSystem) throws(StoreError) -> [String] {
        let files = files.crash(keeping: .keepAll)
        let store = try MemoStore.openBlocking(
            at: "/store", configuration: configuration.scheduler.store, fileSystem: files)
        var lines: [String] = []
        let live = store.liveTasks()
        for entry in live.runs {
            lines.append("\(entry.run.firstID) \(entry.run.parent) \(entry.live) \(entry.run.label)")
            try store.withPayloads(of: entry.run, indexes: entry.live) { index, bytes in
                bytes.withUnsafeBytes { lines.append("\(index) \(Array($0))") }
            }
        }
        for (id, detail) in live.details.sorted(by: { $0.key < $1.key }) { lines.append("\(id) \(detail)") }
        for status in live.parents { lines.append("\(status)") }
        for parent in world.with({ $0.tasks.keys.sorted() }) + [TaskID.none] {
            for outcome in try store.children(of: parent).outcomes() { lines.append("\(parent) \(outcome)") }
        }
        try store.closeBlocking()
        return lines
    }

    // MARK: - Recovery under faults

    /// Opens what is left, while calls fail or the process dies once more, until that succeeds.
    mutating func openUnderFaults(_ remains: SimulatedFileSystem, knowsRare: Bool) async throws -> LifeProcess {
        var files = remains
        count(phase, then: files)
        defer { count(.opening, then: files) }
        if sweep != nil { return try await openInSweep(files, knowsRare: knowsRare) }
        while tally != nil, !isFinishing, random.coin() {
            hasLastingFault = false
            if random.coin() {
                files.faults = .crashing(afterCall: random.below(25))
            } else {
                let call = random.pick(FaultTally.calls)
                let errno = random.pick([.ioError, .noSpace, Self.shortage(of: call)])
                files.faults = .failing(call, at: 1 + random.below(6), with: errno)
                notePlan(of: call, errno)
            }
            do { return try await open(files, knowsRare: knowsRare) } catch {
                guard let error = error as? SchedulerError, error.cause != nil else { throw error }
                note("opening: \(error.code)")
                let remains = files.crash(keeping: random.pick([.keepAll, .dropAll, .random(seed: random.next())]))
                count(.opening, then: remains)
                files = remains
            }
        }
        hasLastingFault = false
        if tally != nil { files.faults = FaultPlan() }
        return try await open(files, knowsRare: knowsRare)
    }
}
