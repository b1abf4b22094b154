// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

@Suite("Values by task (S6, S8)")
struct TaskMapTests {
    enum Order: CaseIterable { case oldestFirst, youngestFirst, random, outwards, everyFourthLast }

    private static func removals(_ order: Order, _ count: UInt64) -> [UInt64] {
        let ids = Array(1...count)
        var random = SeededGenerator(seed: 5)
        switch order {
        case .oldestFirst: return ids
        case .youngestFirst: return ids.reversed()
        case .random: return ids.shuffled(using: &random)
        case .outwards: return ids.sorted { abs(Int($0) - Int(count / 2)) < abs(Int($1) - Int(count / 2)) }
        case .everyFourthLast: return ids.filter { $0 % 4 != 0 } + ids.filter { $0 % 4 == 0 }.reversed()
        }
    }

    @Test("Memory follows the count, in whatever order tasks leave", arguments: Order.allCases)
    func memoryFollowsCount(order: Order) {
        var map = TaskMap<UInt64>()
        let count: UInt64 = 20_000
        for id in 1...count { map[TaskID(id)] = id }
        var left = Set(1...count)
        for id in Self.removals(order, count) {
            map.removeValue(forKey: TaskID(id))
            left.remove(id)
            guard left.count % 500 == 0 || left.count < 10 else { continue }
            // 16 bytes a value; what a part has room for is at most a few times what is in it.
            #expect(map.footprint <= (6 << 10) + 100 * left.count, "\(left.count) left")
            let isSame = map.count == left.count && map.map(\.value) == left.sorted()
            #expect(isSame, "\(left.count) left")
        }
        #expect(map.isEmpty && map.footprint <= 6 << 10)
        for id in (count + 1)...(2 * count) { map[TaskID(id)] = id }
        let isFull = map.map(\.value) == Array((count + 1)...(2 * count))
        #expect(isFull)
    }

    @Test("It does what a dictionary does, in order", arguments: 0..<8 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var map = TaskMap<Int>()
        var expected: [UInt64: Int] = [:]
        let range = 10 + random.below(3000)
        for step in 0..<6000 {
            let id = UInt64(random.below(range))
            if step % 3000 < 1500 || random.coin() {
                map[TaskID(id)] = step
                expected[id] = step
            } else {
                map[TaskID(id)] = nil
                expected[id] = nil
            }
        }
        let areKeysRight = map.map(\.key.rawValue) == expected.keys.sorted()
        let areValuesRight = expected.allSatisfy { map[TaskID($0.key)] == $0.value }
        #expect(areKeysRight && areValuesRight && map.count == expected.count, "seed \(seed)")
    }
}
