// SPDX-License-Identifier: Apache-2.0

/// A dictionary by task that is copied for a checkpoint without holding up the writer: after a copy, a change copies
/// the few hundred values around it, never all of them. All of it O(1), at any size.
///
/// It is many small dictionaries, whose number grows by one at a time (linear hashing), so that no change ever moves
/// more than one of them.
struct TaskMap<Value: Sendable>: Sendable, Sequence {
    private var parts: [[TaskID: Value]] = [[:]]
    /// The power of two above the number of parts, less one.
    private var mask = 1
    private(set) var count = 0
    /// No task in it is younger: most look-ups are for children, and those are younger than all parents.
    private var youngest = TaskID.none

    /// Values a part, on average.
    private static var partSize: Int { 128 }

    var isEmpty: Bool { count == 0 }

    subscript(task: TaskID) -> Value? {
        get { task > youngest ? nil : parts[place(of: task)][task] }
        _modify {
            if task > youngest { youngest = task }
            let place = place(of: task)
            let before = parts[place].count
            defer {
                count += parts[place].count - before
                growIfFull()
            }
            yield &parts[place][task]
        }
    }

    subscript(task: TaskID, default value: @autoclosure () -> Value) -> Value {
        get { self[task] ?? value() }
        _modify {
            if self[task] == nil { self[task] = value() }
            yield &parts[place(of: task)][task]!
        }
    }

    @discardableResult
    mutating func removeValue(forKey task: TaskID) -> Value? {
        let removed = parts[place(of: task)].removeValue(forKey: task)
        if removed != nil { count -= 1 }
        return removed
    }

    /// Tasks and values in no order.
    func makeIterator() -> FlattenSequence<[[TaskID: Value]]>.Iterator { parts.joined().makeIterator() }

    /// In no order.
    var keys: some Sequence<TaskID> { parts.lazy.flatMap(\.keys) }
    /// In no order.
    var values: some Sequence<Value> { parts.lazy.flatMap(\.values) }

    /// Whether both have the same tasks, with values that are alike. O(count).
    func holds(sameAs other: Self, _ alike: (Value, Value) -> Bool) -> Bool {
        count == other.count && allSatisfy { task, value in other[task].map { alike(value, $0) } ?? false }
    }

    private func place(of task: TaskID) -> Int {
        let hash = Int(truncatingIfNeeded: (task.rawValue &* 0x9E37_79B9_7F4A_7C15) >> 32)
        let place = hash & mask
        return place < parts.count ? place : hash & (mask >> 1)
    }

    private mutating func growIfFull() {
        guard count > parts.count * Self.partSize else { return }
        let split = parts.count - (mask + 1) / 2
        let values = parts[split]
        parts[split] = [:]
        parts.append([:])
        if parts.count > mask { mask = mask * 2 + 1 }
        for (task, value) in values { parts[place(of: task)][task] = value }
    }
}
