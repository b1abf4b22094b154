// SPDX-License-Identifier: Apache-2.0

/// How much each group has had, in proportion to its weight: stride scheduling (Waldspurger and Weihl, 1995).
///
/// A group that had nothing waiting does not save up: it begins where the others are.
struct FairShares: Sendable {
    private struct Share: Sendable {
        var used = 0.0
        var weight = 1.0
        var flows = 0
    }

    private var shares: [Int32: Share] = [:]
    /// What the group that was served last had had before.
    private var current = 0.0

    /// - Parameter weight: a group of weight 2 gets twice as much as one of weight 1 while both have tasks waiting.
    mutating func setWeight(_ weight: Double, of group: Int32) {
        shares[group, default: Share()].weight = weight.isNaN ? 1 : min(max(weight, 1e-3), 1e6)
    }

    func share(of group: Int32) -> Double { shares[group]?.used ?? current }

    /// A flow of the group has tasks from now on.
    mutating func enter(_ group: Int32) {
        var share = shares[group] ?? Share(used: current)
        if share.flows == 0 { share.used = max(share.used, current) }
        share.flows += 1
        shares[group] = share
    }

    /// A flow of the group has none any more.
    mutating func leave(_ group: Int32) {
        guard var share = shares[group] else { return }
        share.flows -= 1
        shares[group] = share.flows == 0 && share.weight == 1 && share.used <= current ? nil : share
    }

    /// Forgets a group without flows, unless it has a weight of its own.
    mutating func removeIdle(_ group: Int32) -> Bool {
        guard let share = shares[group] else { return true }
        guard share.flows == 0, share.weight == 1 else { return false }
        shares[group] = nil
        return true
    }

    mutating func charge(_ group: Int32, tasks: Int) {
        guard var share = shares[group] else { return }
        current = max(current, share.used)
        share.used += Double(tasks) / share.weight
        shares[group] = share
    }
}
