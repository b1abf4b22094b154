// SPDX-License-Identifier: Apache-2.0
import Synchronization

@testable import Quern
@testable import QuernStore

/// The reference, behind a lock: handlers tell it what they do, and the model what it did and saw.
final class LifeWorld: Sendable {
    private let reference: Mutex<LifeReference>

    init(_ reference: LifeReference) { self.reference = Mutex(reference) }

    func with<Result: Sendable>(_ body: (inout LifeReference) throws -> Result) rethrows -> Result {
        try reference.withLock { try body(&$0) }
    }

    func report(_ violation: String) { with { $0.report(violation) } }

    func script(_ number: Int) throws -> Script {
        guard let script = with({ $0.scripts[number] }) else { throw Trouble("no script \(number)") }
        return script
    }

    func label(of kind: Script.Kind) -> Label? { with { $0.labels[kind] } }

    // MARK: - What handlers tell

    func began(_ call: LifeCall, _ stage: LifeStage) { hear(of: stage) { $0.began(call) } }

    func returned(_ call: LifeCall, _ stage: LifeStage) { hear(of: stage) { $0.returned(call) } }

    func threw(_ call: LifeCall, _ error: any Error, isCut: Bool, _ stage: LifeStage) {
        // Without space for what it does it is tried again, as if it had not been started.
        let isCut = isCut || error is ExecutionSuspended || (error as? SchedulerError)?.cause?.isTransient == true
        hear(of: stage) { $0.threw(call, error, isCut: isCut) }
    }

    /// Looks under the lock whether the process is dead: nobody is heard of once its death is known.
    private func hear(of stage: LifeStage, _ body: (inout LifeReference) -> Void) {
        with { reference in
            if !stage.isDead { body(&reference) }
        }
    }

    func sawChildren(_ call: LifeCall, _ outcomes: [LifeOutcome]) { with { $0.sawChildren(call, outcomes) } }

    func hooked(_ number: Int, _ id: TaskID) {
        with { reference in
            reference.tasks[id, default: LifeRecord()].isHooked = true
            reference.name(id, number)
        }
    }

    func skipped(_ number: Int, by id: TaskID) {
        with { _ = $0.tasks[id, default: LifeRecord()].skipped.insert(number) }
    }
}
