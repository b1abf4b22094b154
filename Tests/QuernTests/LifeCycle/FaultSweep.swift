// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What goes wrong in one life of a sweep: a small piece of work is lived once for each place where something can.
struct FaultSweep {
    /// Of the files that the life begins on.
    var faults: FaultPlan
    /// Whether they are of what soon may be there again.
    var isShortage: Bool
    /// What crashes leave; nil for a choice that the life's seed makes.
    var policy: CrashPolicy?
    /// Of the files that a crash left, while they are opened the first time.
    var reopening: FaultPlan?

    /// Whether the faults are in force: from the end of the first opening on, until everything comes to its end.
    fileprivate(set) var isOn = false
    /// How many unsynced changes there were at the first crash.
    private(set) var unsyncedAtCrash: Int?
    /// What the machine died on while it opened what a crash left.
    fileprivate(set) var hasFailedReopening = false

    init(
        _ faults: FaultPlan, isShortage: Bool = false, policy: CrashPolicy? = nil, reopening: FaultPlan? = nil
    ) {
        self.faults = faults
        self.isShortage = isShortage
        self.policy = policy
        self.reopening = reopening
    }

    /// Whether the place where something goes wrong has yet to come, so that any call that is made may be it.
    func isAhead(on files: SimulatedFileSystem) -> Bool {
        isOn && unsyncedAtCrash == nil && files.faultsFired == 0 && !files.isStopped
    }

    mutating func noteCrash(_ files: SimulatedFileSystem) {
        if unsyncedAtCrash == nil { unsyncedAtCrash = files.unsyncedChanges }
    }
}

extension LifeModel {
    /// Everything that calls the file system in a way of its own, in few steps.
    static let smallWork: [Operation] = [
        .stop, .submit, .submitMany, .open, .advance, .retain, .compact, .submitGraph, .stop, .open, .advance, .cancel,
        .redrive, .pause, .stopAtOnce, .resume, .compact,
    ]

    struct SweptLife {
        /// Whether the place was reached where something goes wrong.
        var hasFailed: Bool
        var unsyncedAtCrash: Int
        var hasFailedReopening: Bool
    }

    /// Lives the small work, and lets everything come to its end on a disk that is whole again.
    static func live(_ sweep: FaultSweep, seed: UInt64, _ tally: FaultTally) async throws -> SweptLife {
        var model = try await LifeModel(seed: seed, tally: tally, sweep: sweep)
        let files = model.process.files
        files.faults = sweep.faults
        model.sweep?.isOn = true
        model.hasLastingFault = !sweep.isShortage
        model.world.with { $0.mayHaveLost = !sweep.isShortage }
        do {
            for (number, operation) in smallWork.enumerated() {
                model.drawLots(number)
                try await model.take(operation, number)
            }
            model.isFinishing = true
            model.sweep?.isOn = false
            let hasFailed = files.faultsFired > 0 || files.isStopped
            try await model.finish()
            return SweptLife(
                hasFailed: hasFailed, unsyncedAtCrash: model.sweep?.unsyncedAtCrash ?? 0,
                hasFailedReopening: model.sweep?.hasFailedReopening ?? false)
        } catch { throw await model.failed(error) }
    }

    /// Opens what is left, once under the faults of the sweep if a process crashed, and then without.
    mutating func openInSweep(_ remains: SimulatedFileSystem, knowsRare: Bool) async throws -> LifeProcess {
        var isRecovery = false
        if sweep?.unsyncedAtCrash != nil, let faults = sweep?.reopening {
            sweep?.reopening = nil
            remains.faults = faults
            isRecovery = true
        }
        do { return try await open(remains, knowsRare: knowsRare) } catch {
            let wasToFail = remains.faultsFired > 0 || remains.isStopped
            guard wasToFail, let error = error as? SchedulerError, error.cause != nil else { throw error }
            note("opening: \(error.code)")
            if isRecovery { sweep?.hasFailedReopening = true } else { sweep?.noteCrash(remains) }
            let files = remains.crash(keeping: sweep?.policy ?? .keepAll)
            count(.opening, then: files)
            return try await openInSweep(files, knowsRare: knowsRare)
        }
    }
}
