// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// Writes scripts at random: trees of up to four levels.
struct ScriptWriter {
    static let keys = ["k0", "k1", "k2"]
    static let groups = ["a", "b"]
    static let tags = ["t/0", "t/1", "u"]

    var random: SeededGenerator
    private var nextNumber = 1
    /// Scripts that the tree under way may still have.
    private var room = 0
    private var written: [Script] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// A root task's script first, then all below it.
    mutating func tree() -> [Script] {
        room = random.chance(1, in: 3) ? 0 : 2 + random.below(22)
        written = []
        let kind: Script.Kind = room == 0 && random.coin() ? .leaf : random.pick(Script.Kind.allCases)
        _ = write(kind, depth: 3, spawner: nil, way: .child)
        return written.sorted { $0.number < $1.number }
    }

    private mutating func write(_ kind: Script.Kind, depth: Int, spawner: Int?, way: Script.Way) -> Int {
        var script = Script(number: nextNumber, kind: kind, spawner: spawner, way: way)
        nextNumber += 1
        script.options = options(isRoot: spawner == nil)
        if way == .now, script.options.key == nil { script.options.key = "now\(script.number)" }
        if way == .now { script.options.onDuplicate = nil }
        // One that could be spawned again and again must not interrupt its spawner.
        if script.mayRepeat { script.options.priority = 250 }
        if way == .stream { script.options = TaskOptions() }
        script.waits = (way == .sibling || way == .now) && random.chance(1, in: 6)
        script.execute = part(isLast: kind == .leaf)
        if kind.isBranch { script.finalize = part(isLast: true) }
        if random.chance(1, in: 8) { script.padding = random.below(300) }
        if kind.isBranch { script.spawns = children(of: script.number, depth: depth) }
        // A root task is refused a sibling, and goes on.
        if random.chance(1, in: spawner == nil ? 30 : 5), room > 0 {
            room -= 1
            script.spawns.append(write(anyKind(depth), depth: depth - 1, spawner: script.number, way: .sibling))
        }
        written.append(script)
        return script.number
    }

    private mutating func children(of number: Int, depth: Int) -> [Int] {
        guard depth > 0, room > 0 else { return [] }
        var numbers: [Int] = []
        let count = min(room, random.below(6))
        room -= count
        let isEager = random.chance(1, in: 4)
        for _ in 0..<count {
            let way: Script.Way = isEager ? random.pick([.now, .stream, .stream, .child]) : .child
            numbers.append(write(anyKind(depth), depth: depth - 1, spawner: number, way: way))
        }
        if random.chance(1, in: 60) {
            // More than belongs into one transaction.
            for number in numbers {
                for index in written.indices where written[index].number == number && written[index].kind == .leaf {
                    written[index].padding = 1_200_000
                }
            }
        }
        return numbers
    }

    private mutating func anyKind(_ depth: Int) -> Script.Kind {
        depth <= 1 || random.chance(3, in: 5) ? .leaf : random.pick(Script.Kind.allCases)
    }

    private mutating func part(isLast: Bool) -> Script.Part {
        var part = Script.Part()
        if random.chance(1, in: 4) { part.failures = UInt32(1 + random.below(3)) }
        if random.chance(1, in: 4) { part.retryAfter = .milliseconds(random.below(4000)) }
        if random.chance(1, in: 12) { part.hangs = random.coin() ? .untilCancelled : .deaf }
        if random.chance(1, in: 7) {
            part.ending = random.pick(
                isLast ? [.failForGood, .failAlways, .unencodable] : [.failForGood, .failAlways])
        }
        return part
    }

    private mutating func options(isRoot: Bool) -> TaskOptions {
        var options = TaskOptions()
        guard random.chance(3, in: 5) else { return options }
        if random.chance(1, in: 4) {
            options.key = random.pick(Self.keys)
            options.onDuplicate = random.pick([nil, .skip, .ignore, .replace] + (isRoot ? [.reject] : []))
        }
        if random.chance(1, in: 3) { options.priority = random.pick([50, 100, 200]) }
        if random.chance(1, in: 3) { options.group = random.pick(Self.groups) }
        if random.chance(1, in: 3) { options.tags = [random.pick(Self.tags)] }
        if random.chance(1, in: 6) { options.start = .after(.milliseconds(random.below(6000))) }
        if random.chance(1, in: 8) {
            options.timeToLive = TimeToLive(
                .milliseconds(1 + random.below(9000)), from: random.chance(1, in: 4) ? .firstAttempt : .submission)
        }
        if random.chance(1, in: 4) {
            options.retry = .constant(.milliseconds(random.below(3000)), attempts: UInt32(1 + random.below(4)))
        }
        if random.chance(1, in: 4) { options.onDependencyFailure = random.pick(DependencyPolicy.allCases) }
        if random.chance(1, in: 4) { options.onDependencyCancel = random.pick(DependencyPolicy.allCases) }
        return options
    }
}
