// SPDX-License-Identifier: Apache-2.0

/// Where in the log the bytes are that live tasks keep, by slot. Nothing for tasks that keep none.
struct SlotTable: Sendable {
    /// The slot of what a task's last advance handed over.
    static let handover: UInt8 = 0

    private struct Slot: Sendable {
        let number: UInt8
        var places = TaskMap<LogPlace>()
    }

    /// In the order of their numbers: few are ever used.
    private var slots: [Slot] = []

    /// What it takes in memory, in bytes. O(count / 100).
    var footprint: Int { slots.reduce(0) { $0 + $1.places.footprint } }

    subscript(task: TaskID, slot: UInt8) -> LogPlace? {
        get { slots.first { $0.number == slot }?.places[task] }
        set {
            var index = slots.partition { $0.number >= slot }
            if index == slots.count || slots[index].number != slot {
                if newValue == nil { return }
                slots.insert(Slot(number: slot), at: index)
                index = slots.partition { $0.number >= slot }
            }
            slots[index].places[task] = newValue
        }
    }

    /// What is in a slot was written once more, elsewhere. It may have been replaced since it was read.
    mutating func relocate(_ task: TaskID, _ slot: UInt8, from old: LogPlace, to new: LogPlace) {
        if self[task, slot] == old { self[task, slot] = new }
    }

    /// The task has ended.
    mutating func remove(_ task: TaskID) {
        if slots.isEmpty { return }
        for index in slots.indices where !slots[index].places.isEmpty { slots[index].places.removeValue(forKey: task) }
    }

    /// By slot, then by task.
    var all: some Sequence<(slot: UInt8, task: TaskID, place: LogPlace)> {
        slots.lazy.flatMap { slot in slot.places.lazy.map { (slot.number, $0.key, $0.value) } }
    }

    /// The slots that are in use, each with its tasks in order.
    var used: some Sequence<(number: UInt8, places: TaskMap<LogPlace>)> {
        slots.lazy.filter { !$0.places.isEmpty }.map { ($0.number, $0.places) }
    }

    /// Whether the same is at the same places. O(count).
    func holds(sameAs other: Self) -> Bool {
        let (mine, others) = (Array(used), Array(other.used))
        return mine.count == others.count
            && zip(mine, others).allSatisfy {
                $0.number == $1.number && $0.places.holds(sameAs: $1.places) { $0 == $1 }
            }
    }
}
