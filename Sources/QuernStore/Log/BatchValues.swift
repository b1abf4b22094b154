// SPDX-License-Identifier: Apache-2.0

/// What the batch under way does to the named values, as far as their bound needs to know: its later transactions are
/// checked as if its earlier ones were applied.
struct BatchValues: Sendable {
    /// What a transaction does to them.
    struct Plan {
        fileprivate var sizes: [ExactName: Int] = [:]
        fileprivate var growth = 0
    }

    /// What each name that is set counts for with its value, in bytes.
    private var sizes: [ExactName: Int] = [:]
    /// How many bytes they all take more than before the batch.
    private var growth = 0

    /// Checks the values of a transaction.
    func plan(_ transaction: borrowing Transaction, _ state: StoreState) throws(StoreError) -> Plan {
        var plan = Plan()
        for case .set(let name, let value) in transaction.notes {
            guard (1...Limits.nameBytes).contains(name.utf8.count) else {
                throw StoreError(.tooLarge, "a name has 1 to \(Limits.nameBytes) bytes")
            }
            guard value?.count ?? 0 <= Limits.namedValueBytes else {
                throw StoreError(
                    .tooLarge, "\(value?.count ?? 0) bytes of a named value; the limit is \(Limits.namedValueBytes)")
            }
            let key = ExactName(name)
            let before = plan.sizes[key] ?? sizes[key] ?? NamedValues.size(of: name, state.values[name])
            let after = NamedValues.size(of: name, value)
            plan.sizes[key] = after
            plan.growth += after - before
        }
        let bytes = state.values.bytes + growth + plan.growth
        guard plan.growth <= 0 || bytes <= Limits.namedValuesBytes else {
            throw StoreError(
                .tooLarge, "\(bytes) bytes of named values and their names; the limit is \(Limits.namedValuesBytes)")
        }
        return plan
    }

    mutating func adopt(_ plan: Plan) {
        if plan.sizes.isEmpty { return }
        sizes.merge(plan.sizes) { $1 }
        growth += plan.growth
    }
}
