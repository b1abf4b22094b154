// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What holds tasks back in the world of ``DispatcherModel``, and what must never be given out then (T16).
extension DispatcherModel {
    struct Limits {
        var concurrency: Int?
        var bucket: TokenBucket?
        var pausedUntil: Timestamp?
        var running = 0

        func isPaused(at now: Timestamp) -> Bool { pausedUntil.map { now < $0 } ?? false }
        var isFree: Bool { concurrency == nil && bucket == nil && pausedUntil == nil }
    }

    var now: Timestamp { Timestamp(milliseconds: clock) }

    /// Limits of labels 0 to 2, of everything, and of the groups.
    static let everything = 3
    static let budgets = 4 + groups.count

    static let throttle = ThrottlePolicy([
        .init(from: 0.5, downTo: 0.3, priority: 128), .init(from: 0.7, priority: 105, concurrency: 0.5),
        .init(from: 0.9, priority: 100),
    ])

    mutating func limiter(_ number: Int) -> Int {
        let (isBudget, number) = (number >= Self.budgets, number % Self.budgets)
        let scope: LimitScope =
            switch number {
            case ..<Self.everything: .type(Step.type)
            case Self.everything: .everything
            default: .group(Self.groups[number - Self.everything - 1])
            }
        let label = Label(rawValue: UInt32(number))
        return dispatcher.limiter(of: scope, label: label, unit: isBudget ? .bytes : .starts) ?? -1
    }

    /// What tasks take of a limit.
    func cost(_ number: Int, of tasks: Int, _ id: TaskID) -> Int {
        number < Self.budgets ? tasks : tasks * (nodes[id.rawValue]?.bytes ?? 0)
    }

    /// The limits that a task is under.
    func limiters(of task: TaskID, _ label: Label) -> [Int] {
        let group = nodes[task.rawValue]?.group.flatMap(Self.groups.firstIndex)
        let starts = [Int(label.rawValue), Self.everything] + (group.map { [Self.everything + 1 + $0] } ?? [])
        return nodes[task.rawValue]?.bytes == 0 ? starts : starts + starts.map { Self.budgets + $0 }
    }

    mutating func changeLimits() {
        if chance(30) {
            _ = dispatcher.pressureChanged(to: Double(random.below(11)) / 10)
            return
        }
        let number = Int.random(in: limits.indices, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0...3 where number >= Self.budgets:
            let budget = ByteBudget(
                bytesPerSecond: UInt64(1 + random.below(9000)), burst: UInt64(1 + random.below(300)))
            limits[number].bucket = TokenBucket(budget, now: now)
        case 0: limits[number].pausedUntil = Timestamp(milliseconds: .max)
        case 1: limits[number].pausedUntil = now.advanced(by: .milliseconds(1 + random.below(200)))
        case 2: limits[number].bucket = TokenBucket(RateLimit(UInt32(1 + random.below(90)), per: .seconds(1)), now: now)
        case 3 where number != Self.everything: limits[number].concurrency = random.below(4)
        default:
            let running = limits[number].running
            limits[number] = Limits()
            limits[number].running = running
        }
        apply(number)
    }

    mutating func apply(_ number: Int) {
        let wanted = limits[number]
        dispatcher.queues.update(limiter(number), now: now) {
            $0.concurrency = wanted.concurrency
            $0.bucket = wanted.bucket
            $0.pausedUntil = wanted.pausedUntil
        }
    }

    mutating func liftLimits() {
        _ = dispatcher.pressureChanged(to: 0)
        for number in limits.indices {
            limits[number].pausedUntil = nil
            if limits[number].concurrency == 0 { limits[number].concurrency = 1 }
            apply(number)
        }
    }

    /// A restarted scheduler is told of the limits again.
    mutating func limitsAfterRestart() {
        for number in limits.indices {
            limits[number].running = 0
            apply(number)
        }
    }

    /// What the queues gave out; nil for cancels and for parents that fail.
    private func queued(_ pull: Pull) -> ReadyRun? {
        switch pull.work {
        case .execute(let entry): entry
        case .finalize(let parent): ReadyRun(run: parent.run, bits: parent.bit, attempts: parent.attempts)
        case .failParent, .cancel: nil
        }
    }

    mutating func checkGrant(_ pull: Pull, at place: HandlerPlace) throws {
        guard let entry = queued(pull) else { return }
        for index in BitIndexes(entry.bits) {
            let id = entry.run.id(at: index)
            if dispatcher.isDoomed(id, parent: entry.run.parent) {
                throw ModelError(description: "task \(id) is given out although it was cancelled before")
            }
            try checkWaited(id)
            if isThrottled(id) { throw ModelError(description: "task \(id) is given out under pressure") }
            if nodes[id.rawValue]?.attempts != entry.attempts {
                throw ModelError(description: "task \(id) is at attempt \(entry.attempts) by mistake")
            }
            if case .execute = pull.work, nodes[id.rawValue]?.priority != entry.priority {
                throw ModelError(description: "task \(id) has priority \(entry.priority) by mistake")
            }
        }
        for number in limiters(of: entry.run.id(at: entry.bits.trailingZeroBitCount), entry.run.label) {
            if limits[number].isPaused(at: now) { throw ModelError(description: "\(number) is paused") }
            limits[number].running += 1
            if let most = limits[number].concurrency, limits[number].running > most {
                throw ModelError(description: "\(limits[number].running) run of \(number), not \(most)")
            }
            if limits[number].bucket != nil {
                let cost = cost(number, of: entry.count, entry.run.id(at: entry.bits.trailingZeroBitCount))
                let room = limits[number].bucket!.available(at: now)
                guard room >= cost || (room > 0 && entry.count == 1) else {
                    throw ModelError(description: "\(number) runs too fast: \(cost) of \(room)")
                }
                limits[number].bucket!.take(cost, at: now)
            }
        }
        guard dispatcher.limits.aging == nil, limits[Self.everything].isFree,
            limits[Self.budgets + Self.everything].isFree
        else { return }
        let priority = nodes[entry.run.id(at: entry.bits.trailingZeroBitCount).rawValue]?.priority ?? 0
        for other in queued where other.priority < priority && isFree(other) {
            let facts = Self.facts[Int(other.run.label.rawValue)]
            let finalizes = nodes[other.run.id(at: other.bits.trailingZeroBitCount).rawValue]?.phase == 1
            if (finalizes ? .threads : facts?.place) == place {
                throw ModelError(description: "\(other) waits while \(entry) runs")
            }
        }
    }

    private func isFree(_ entry: ReadyRun) -> Bool {
        let id = entry.run.id(at: entry.bits.trailingZeroBitCount)
        return !isThrottled(id) && limiters(of: id, entry.run.label).allSatisfy { limits[$0].isFree }
    }

    /// Whether the pressure holds a task back: by the priority that it has, however long it waits.
    private func isThrottled(_ id: TaskID) -> Bool {
        guard let held = dispatcher.throttle.heldPriority, let node = nodes[id.rawValue] else { return false }
        return node.priority >= held
    }

    /// Tasks of a pull that did not start give back what they took of the rates.
    mutating func giveBack(_ tasks: UInt64, of run: SpawnRun) {
        guard tasks != 0 else { return }
        let id = run.id(at: tasks.trailingZeroBitCount)
        for number in limiters(of: id, run.label) {
            let cost = cost(number, of: tasks.nonzeroBitCount, id)
            limits[number].bucket?.giveBack(cost)
        }
    }

    mutating func finished(_ pull: Pull) {
        guard let entry = queued(pull) else { return }
        // Of a pull all of whose tasks were taken back, too.
        for number in limiters(of: entry.run.firstPresent(in: nodes), entry.run.label) { limits[number].running -= 1 }
        giveBack(pull.claims.remaining, of: entry.run)
    }

    /// Some handlers say that they read and wrote more or less than was expected.
    mutating func recordIO(of pull: Pull, _ report: inout PullReport) {
        guard let entry = queued(pull), report.tried > 0, chance(30) else { return }
        report.io.tasks = 1 + random.below(report.tried)
        report.io.add(read: UInt64(random.below(100)), written: UInt64(random.below(50)))
        let id = entry.run.firstPresent(in: nodes)
        let difference = Int(report.io.total) - report.io.tasks * (nodes[id.rawValue]?.bytes ?? 0)
        let label = Int(entry.run.label.rawValue)
        let group = nodes[id.rawValue]?.group.flatMap(Self.groups.firstIndex)
        let now = now
        for number in [label, Self.everything] + (group.map { [Self.everything + 1 + $0] } ?? []) {
            if difference < 0 {
                limits[Self.budgets + number].bucket?.giveBack(-difference)
            } else {
                limits[Self.budgets + number].bucket?.take(difference, at: now)
            }
        }
    }
}

extension SpawnRun {
    fileprivate func firstPresent(in nodes: [UInt64: DispatcherModel.Node]) -> TaskID {
        BitIndexes(allBits).lazy.map(id(at:)).first { nodes[$0.rawValue] != nil } ?? firstID
    }
}
