// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What operators ask of a scheduler.
extension LifeModel {
    private mutating func scope() -> LimitScope {
        switch random.below(6) {
        case 0: .everything
        case 1, 2: .group(random.pick(ScriptWriter.groups))
        default: .type(random.pick([.leaf, .failFast, .tolerate, .budget] as [Script.Kind]).type)
        }
    }

    // MARK: - Pauses and limits

    mutating func pause() async throws {
        let scope = scope()
        let end = random.coin() ? Timestamp(milliseconds: process.clock.now.rawValue + Int64(random.below(5000))) : nil
        note("\(scope)")
        world.with { _ = $0.uncertainPauses.insert(scope) }
        try await process.scheduler.pause(scope, until: end)
        world.with { reference in
            reference.uncertainPauses.remove(scope)
            reference.pauses[scope] = end ?? Timestamp(milliseconds: .max)
        }
    }

    mutating func resume() async throws {
        let pauses = world.with { $0.pauses.keys.sorted { "\($0)" < "\($1)" } }
        let scope = pauses.isEmpty ? scope() : random.pick(pauses)
        note("\(scope)")
        let before = world.with { reference in
            reference.uncertainPauses.insert(scope)
            return reference.pauses.removeValue(forKey: scope)
        }
        do { try await process.scheduler.resume(scope) } catch {
            world.with { $0.pauses[scope] = before }
            throw error
        }
        world.with { _ = $0.uncertainPauses.remove(scope) }
    }

    mutating func setConcurrency() throws {
        let scope = scope()
        var most: Int? = random.pick([nil, 0, 1, 2])
        if scope == .everything, configuration.scheduler.isSequential { most = random.pick([nil, 1]) }
        note("\(most as Any) \(scope)")
        world.with { reference in
            // Before it counts, so that nothing that it lets go seems to be too much.
            if scope == .everything {
                reference.concurrency[scope] = max(1, most ?? reference.allPlaces)
            } else {
                reference.concurrency[scope] = most
            }
        }
        try process.scheduler.setConcurrency(most, for: scope)
    }

    mutating func setRate() throws {
        let scope = scope()
        let rate =
            random.chance(1, in: 3)
            ? nil : RateLimit(UInt32(1 + random.below(3)), per: .milliseconds(1 + random.below(2000)))
        note("\(rate.map { "\($0.count) per \($0.period)" } ?? "none") \(scope)")
        let now = process.clock.now
        world.with { $0.rates[scope] = rate.map { TokenBucket($0, now: now) } }
        try process.scheduler.setRate(rate, for: scope)
    }

    mutating func setWeight() {
        process.scheduler.setWeight(random.pick([0.5, 1, 3]), ofGroup: random.pick(ScriptWriter.groups))
    }

    // MARK: - Again

    private mutating func anyEndedRoot() -> TaskID? {
        let roots = world.with { reference in
            reference.roots.map(\.id).filter { reference.tasks[$0]?.isDropped != true }
        }
        let failed = world.with { reference in roots.filter { reference.tasks[$0]?.outcome?.kind.isFailure == true } }
        if roots.isEmpty { return nil }
        return random.pick(failed.isEmpty || random.chance(1, in: 3) ? roots : failed)
    }

    mutating func resubmit() async throws {
        guard let id = anyEndedRoot() else { return }
        note("\(id)")
        let can = world.with { $0.canRunAgain(id, redrives: false) }
        try await runAgain(id, can, redrives: false) { (scheduler) async throws(SchedulerError) in
            try await scheduler.resubmit(id)
        }
    }

    mutating func redrive() async throws {
        guard let id = anyEndedRoot() else { return }
        note("\(id)")
        let can = world.with { $0.canRunAgain(id, redrives: true) }
        try await runAgain(id, can, redrives: true) { (scheduler) async throws(SchedulerError) in
            try await scheduler.redrive(id)
        }
    }

    private mutating func runAgain(
        _ id: TaskID, _ can: Bool, redrives: Bool,
        _ again: (TaskScheduler) async throws(SchedulerError) -> TaskID
    ) async throws {
        // An earlier call of this process may have done it and failed behind that.
        let isUncertain = world.with { $0.uncertainAgain.contains(id) }
        let number = world.with { reference in
            let number = reference.tasks[id]?.number
            if let number { reference.uncertainRoots[number, default: 0] += 1 }
            reference.uncertainAgain.insert(id)
            return number
        }
        do {
            let new = try await again(process.scheduler)
            note("as \(new)")
            if !can { world.report("task \(id) should not have been run again") }
            world.with { reference in
                if let number {
                    reference.uncertainRoots[number, default: 1] -= 1
                    reference.submitted(new, number)
                }
                reference.uncertainAgain.remove(id)
                reference.tasks[id]?.wasRunAgain = true
                if redrives {
                    let old = reference.redriven(inPlaceOf: id)
                    reference.tasks[new]?.redrives = old
                }
            }
        } catch {
            switch error.code {
            case .notResubmittable:
                if can, !isUncertain { world.report("task \(id) was not run again: \(error)") }
            case .duplicateKey:
                let hasKey = world.with { $0.script(of: id)?.options.key != nil }
                if !hasKey { world.report("task \(id) has no key: \(error)") }
            default:
                // Whether it was done shows in the next process.
                throw error
            }
            let isMarked = Resubmissions.isMarked(id, in: process.core.store)
            world.with { reference in
                reference.uncertainAgain.remove(id)
                if isUncertain { reference.tasks[id]?.wasRunAgain = isMarked }
                if let number { reference.uncertainRoots[number, default: 1] -= 1 }
            }
        }
    }

    mutating func resubmitAll() async throws {
        let before = world.with { reference -> [TaskID: Int] in
            var numbers: [TaskID: Int] = [:]
            for outcome in reference.roots where reference.canRunAgain(outcome.id, redrives: false) {
                guard let number = reference.tasks[outcome.id]?.number else { continue }
                numbers[outcome.id] = number
                reference.uncertainRoots[number, default: 0] += 1
                reference.uncertainAgain.insert(outcome.id)
            }
            return numbers
        }
        let count = try await process.scheduler.resubmitDeadLetters()
        note("\(count)")
        // What a process did after its death is not known.
        if process.isOver { return }
        let keyless = world.with { reference in
            before.keys.count { reference.script(of: $0)?.options.key == nil }
        }
        if count > before.count || count < keyless { world.report("\(count) resubmitted of \(before.count)") }
        // Those whose keys were taken stay as they are.
        let store = process.core.store
        world.with { reference in
            for id in before.keys {
                let hasKey = reference.script(of: id)?.options.key != nil
                reference.tasks[id]?.wasRunAgain = !hasKey || Resubmissions.isMarked(id, in: store)
                reference.uncertainAgain.remove(id)
            }
        }
    }

    mutating func retain() async throws {
        let most = random.below(6)
        note("\(most)")
        world.with { $0.mayHaveDropped = true }
        let store = process.core.store
        do { _ = try await store.applyRetention(RetentionPolicy(count: most), now: process.clock.now) } catch {
            // Some trees may be gone; of a process that is over the next one shows which.
            if !process.isOver, error.isTransient { try noteDropped(most: .max) }
            throw error
        }
        try noteDropped(most: most)
    }

    private func noteDropped(most: Int) throws {
        let left = try process.core.store.children(of: .none).outcomes().map(\.id)
        world.with { $0.dropped(allBut: Set(left), most: most) }
    }

    // MARK: - Reading

    mutating func read() async throws {
        let scheduler = process.scheduler
        let parents = world.with { reference in
            reference.tasks.filter { $0.value.kind?.isBranch == true && !$0.value.isDropped }.keys.sorted()
        }
        if !parents.isEmpty {
            let parent = random.pick(parents)
            note("value of \(parent)")
            let value = try await scheduler.value(of: LeafTotals.aggregate, under: parent)
            let children = try process.core.store.children(of: parent).outcomes()
            let expected = LeafTotals(of: children, world)
            if value != expected { world.report("the aggregate of task \(parent) is \(value), not \(expected)") }
        }
        guard let root = anyEndedRoot() else { return }
        let info = try await scheduler.task(root)
        let kind = world.with { $0.tasks[root]?.outcome?.kind }
        if info?.state != kind.map(TaskInfo.State.ended) {
            world.report("task \(root) is \(info?.state as Any), not \(kind as Any)")
        }
        let live = try await scheduler.tasks(limit: .max).map(\.id)
        if live.count != process.core.store.totals.live { world.report("\(live.count) tasks are listed") }
        let held = scheduler.heldTypes.reduce(0) { $0 + $1.count }
        let rare = world.with { reference in reference.live.count { reference.tasks[$0]?.kind == .rare } }
        if world.with({ $0.knowsRare }) ? held > 0 : held > rare { world.report("\(held) of \(rare) tasks are held") }
    }
}
