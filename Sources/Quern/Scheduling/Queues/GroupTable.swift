// SPDX-License-Identifier: Apache-2.0

/// The groups that have tasks or limits: a number and a limiter for each.
///
/// Programs may name a group a customer, so that groups without both go again: not at once, since they come and go with
/// their tasks, but before there are about twice as many as are in use.
struct GroupTable: Sendable {
    private struct Entry: Sendable {
        var name: String
        var limiter: Int32
        /// That of its budget, once it has had tasks that read or write, or a budget.
        var budget: Int32 = -1
        /// Tasks without an outcome.
        var tasks = 0
    }

    /// By number; nil for numbers that are free, and for 0, which stands for no group.
    private var entries: [Entry?] = [nil]
    private var numbers: [String: Int32] = [:]
    private var free: [Int32] = []
    /// Groups when the next search for idle ones begins.
    private var nextSearch = 64

    /// How many there are, idle ones included.
    var count: Int { numbers.count }

    /// Tasks without an outcome, of all groups. O(groups).
    var taskCount: Int { entries.reduce(0) { $0 + ($1?.tasks ?? 0) } }

    func isKnown(_ name: String) -> Bool { numbers[name] != nil }

    /// The limiter of a group; -1 for no group.
    func limiter(of number: Int32) -> Int32 { entries[Int(number)]?.limiter ?? -1 }

    /// The limiter of a group's budget; -1 for no group.
    mutating func budget(of number: Int32, in queues: inout ReadyQueues) -> Int32 {
        guard let entry = entries[Int(number)] else { return -1 }
        if entry.budget >= 0 { return entry.budget }
        let budget = Int32(queues.addLimiter(counting: .bytes))
        entries[Int(number)]?.budget = budget
        return budget
    }

    /// The number that stands for a group; a new one when it has none.
    ///
    /// - Complexity: O(1), amortized.
    mutating func number(of name: String, in queues: inout ReadyQueues) -> Int32 {
        if let number = numbers[name] { return number }
        if numbers.count >= nextSearch { removeIdle(in: &queues) }
        let entry = Entry(name: name, limiter: Int32(queues.addLimiter()))
        let number: Int32
        if let last = free.popLast() {
            number = last
            entries[Int(number)] = entry
        } else {
            number = Int32(entries.count)
            entries.append(entry)
        }
        numbers[name] = number
        return number
    }

    /// Tasks of a group came, or got their outcome when `tasks` is negative.
    mutating func count(_ tasks: Int, in number: Int32) { entries[Int(number)]?.tasks += tasks }

    private mutating func removeIdle(in queues: inout ReadyQueues) {
        for number in entries.indices {
            guard let entry = entries[number], entry.tasks == 0,
                queues.removeIdle(entry.limiter, budget: entry.budget, group: Int32(number))
            else { continue }
            entries[number] = nil
            numbers[entry.name] = nil
            free.append(Int32(number))
        }
        nextSearch = max(64, 2 * numbers.count)
    }
}
