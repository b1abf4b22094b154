// SPDX-License-Identifier: Apache-2.0

/// Values by task, in the order of the ids, that are copied for a checkpoint without holding up the writer: after a
/// copy, a change copies the hundred values around it, never all of them.
///
/// It is a list of sorted parts. Tasks that come together have ids side by side, so that a batch touches few parts,
/// and ids that only grow leave no room unused. A look-up is O(log count), a change O(log count) and one part.
struct TaskMap<Value: Sendable>: Sendable, Sequence {
    fileprivate struct Part: Sendable {
        var tasks: [TaskID] = []
        var values: [Value] = []
    }

    private struct Place {
        var part: Int
        var index: Int
    }

    private var parts = [Part()]
    /// Where each part begins: it holds the tasks from there up to where the next begins.
    private var starts = [TaskID.none]
    private(set) var count = 0
    /// No task in it is younger: most look-ups are for children, and those are younger than all parents.
    private var youngest = TaskID.none

    /// Values a part, at most.
    private static var partSize: Int { 128 }
    /// Room is made for this many values at a time.
    private static var growth: Int { 16 }

    var isEmpty: Bool { count == 0 }

    /// What it takes in memory, in bytes. O(count / 100).
    var footprint: Int {
        parts.reduce(0) { $0 + $1.tasks.footprint + $1.values.footprint + MemoryLayout<Part>.stride }
    }

    func contains(_ task: TaskID) -> Bool { place(of: task) != nil }

    subscript(task: TaskID) -> Value? {
        get { place(of: task).map { parts[$0.part].values[$0.index] } }
        set {
            guard let newValue else {
                _ = removeValue(forKey: task)
                return
            }
            modify(task, default: newValue) { $0 = newValue }
        }
    }

    /// Changes a value in place, when there is one.
    mutating func modify<Result>(_ task: TaskID, _ body: (inout Value) -> Result) -> Result? {
        place(of: task).map { body(&parts[$0.part].values[$0.index]) }
    }

    /// Changes a value in place; it is inserted when there is none.
    @discardableResult
    mutating func modify<Result>(
        _ task: TaskID, default value: @autoclosure () -> Value, _ body: (inout Value) -> Result
    ) -> Result {
        let place = place(of: task) ?? insert(value(), for: task)
        return body(&parts[place.part].values[place.index])
    }

    /// The last value of a task that is not behind another one. O(log count).
    func last(notBehind task: TaskID) -> (key: TaskID, value: Value)? {
        lastPlace(notBehind: task).map { (parts[$0.part].tasks[$0.index], parts[$0.part].values[$0.index]) }
    }

    /// Changes that value in place, when there is one.
    mutating func modifyLast<Result>(notBehind task: TaskID, _ body: (TaskID, inout Value) -> Result) -> Result? {
        lastPlace(notBehind: task).map { body(parts[$0.part].tasks[$0.index], &parts[$0.part].values[$0.index]) }
    }

    @discardableResult
    mutating func removeValue(forKey task: TaskID) -> Value? {
        guard let place = place(of: task) else { return nil }
        parts[place.part].tasks.remove(at: place.index)
        let removed = parts[place.part].values.remove(at: place.index)
        count -= 1
        mergeIfSmall(place.part)
        return removed
    }

    private func place(of task: TaskID) -> Place? {
        guard task <= youngest else { return nil }
        let place = firstPlace(notBefore: task)
        let tasks = parts[place.part].tasks
        return place.index < tasks.count && tasks[place.index] == task ? place : nil
    }

    /// Where a task is or belongs.
    private func firstPlace(notBefore task: TaskID) -> Place {
        let part = starts.partition { $0 > task } - 1
        return Place(part: part, index: parts[part].tasks.partition { $0 >= task })
    }

    private func lastPlace(notBehind task: TaskID) -> Place? {
        let part = starts.partition { $0 > task } - 1
        let index = parts[part].tasks.partition { $0 > task } - 1
        if index >= 0 { return Place(part: part, index: index) }
        // A part begins before its first task; of none but the first is the one before it without tasks.
        guard part > 0, let last = parts[part - 1].tasks.indices.last else { return nil }
        return Place(part: part - 1, index: last)
    }

    // MARK: Parts

    private mutating func insert(_ value: Value, for task: TaskID) -> Place {
        youngest = Swift.max(youngest, task)
        count += 1
        var place = firstPlace(notBefore: task)
        if parts[place.part].tasks.count == Self.partSize {
            split(place)
            place = firstPlace(notBefore: task)
        }
        if parts[place.part].tasks.capacity == parts[place.part].tasks.count {
            let room = parts[place.part].tasks.count + Self.growth
            parts[place.part].tasks.reserveCapacity(room)
            parts[place.part].values.reserveCapacity(room)
        }
        parts[place.part].tasks.insert(task, at: place.index)
        parts[place.part].values.insert(value, at: place.index)
        return place
    }

    /// Makes two parts of a full one: halves, or one that stays full and one for what comes behind all of it.
    private mutating func split(_ place: Place) {
        let full = parts[place.part]
        let middle = place.index == full.tasks.count ? full.tasks.count : full.tasks.count / 2
        let start = middle == full.tasks.count ? TaskID(full.tasks[middle - 1].rawValue + 1) : full.tasks[middle]
        let upper = Part(tasks: Array(full.tasks[middle...]), values: Array(full.values[middle...]))
        if middle < full.tasks.count {
            parts[place.part] = Part(tasks: Array(full.tasks[..<middle]), values: Array(full.values[..<middle]))
        }
        parts.insert(upper, at: place.part + 1)
        starts.insert(start, at: place.part + 1)
    }

    /// Makes one part of this one and a neighbour, on either side, when both together have little in them or this one
    /// has nothing: whatever the order of the removals, memory follows the count.
    private mutating func mergeIfSmall(_ part: Int) {
        let size = parts[part].tasks.count
        for left in [part - 1, part] where left >= 0 && left + 1 < parts.count {
            let sum = parts[left].tasks.count + parts[left + 1].tasks.count
            guard size == 0 || sum <= Self.partSize / 2 else { continue }
            let right = parts.remove(at: left + 1)
            starts.remove(at: left + 1)
            if parts[left].tasks.isEmpty {
                parts[left] = right
            } else {
                parts[left].tasks.append(contentsOf: right.tasks)
                parts[left].values.append(contentsOf: right.values)
            }
            return
        }
    }

    // MARK: Walking

    /// Tasks and values in the order of the ids.
    struct Iterator: IteratorProtocol {
        fileprivate let parts: [Part]
        fileprivate var part = 0
        fileprivate var index = 0

        mutating func next() -> (key: TaskID, value: Value)? {
            while part < parts.count, index == parts[part].tasks.count {
                part += 1
                index = 0
            }
            guard part < parts.count else { return nil }
            defer { index += 1 }
            return (parts[part].tasks[index], parts[part].values[index])
        }
    }

    func makeIterator() -> Iterator { Iterator(parts: parts) }

    /// In order.
    var keys: some Sequence<TaskID> { parts.lazy.flatMap(\.tasks) }
    /// In the order of the ids.
    var values: some Sequence<Value> { parts.lazy.flatMap(\.values) }

    /// Whether both have the same tasks, with values that are alike. O(count).
    func holds(sameAs other: Self, _ alike: (Value, Value) -> Bool) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.key == $1.key && alike($0.value, $1.value) }
    }
}
