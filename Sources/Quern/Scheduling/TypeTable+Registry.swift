// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Registry {
    /// Gives each type its label in the store, and finds those of its earlier versions and names.
    ///
    /// - Parameter options: what holds for all tasks unless it is said otherwise.
    func makeTable(in store: MemoStore, _ options: TaskOptions) async throws(SchedulerError) -> TypeTable {
        if let error { throw error }
        try checkNames()
        var currents: [Label] = []
        for registration in registrations {
            let label = TypeLabel(registration.work.type, version: registration.work.payloadVersion)
            do { currents.append(try await store.label(for: label.name)) } catch { throw SchedulerError(error) }
        }
        let known = store.names.map { (label: $0.label, type: TypeLabel(name: $0.name)) }
        var table = TypeTable()
        for (registration, current) in zip(registrations, currents) {
            let work = registration.work
            let names = [work.type] + work.aliases
            let labels = known.filter { names.contains($0.type.type) && $0.type.version <= work.payloadVersion }
            try add(registration, current, labels.map { ($0.label, $0.type.version) }, options, to: &table)
        }
        for (parent, aggregate) in maintained {
            for label in try table.labels(ofAny: parent) {
                table.maintained[label.rawValue, default: []].append(aggregate)
            }
        }
        return table
    }

    private func add(
        _ registration: Registration, _ current: Label, _ known: [(label: Label, version: UInt32)],
        _ options: TaskOptions, to table: inout TypeTable
    ) throws(SchedulerError) {
        var labels = TypeLabels(current)
        labels.others = known.map(\.label).filter { $0 != current }
        var merged = registration.work.options
        merged.retry = registration.retry ?? merged.retry
        merged = merged.merged(over: registration.domain).merged(over: options)
        let retry = merged.retry ?? .none
        merged.retry = nil
        let expectedIO = merged.expectedIO
        merged.expectedIO = nil
        // The oldest label stays the same, whatever versions and names are to come.
        let oldest = known.min { $0.label.rawValue < $1.label.rawValue }?.label ?? current
        let terms = try SpawnTerms(label: current, keyLabel: oldest, merged)
        let middleware = MiddlewareChain(all: middleware(around: registration.facts.domain))
        table.add(
            TypeTable.Entry(
                type: registration.work.type, labels: labels, options: merged, expectedIO: expectedIO, terms: terms,
                middleware: middleware),
            for: registration.work)
        for (label, version) in known {
            var facts = registration.facts
            facts.label = current
            facts.ioBytes = expectedIO?.total ?? 0
            let terms = RunnerTerms(facts: facts, version: version, retry: retry, middleware: middleware)
            table.add(registration.makeRunner(terms), for: label)
        }
    }

    private func checkNames() throws(SchedulerError) {
        var taken: Set<TaskType> = []
        for registration in registrations {
            let work = registration.work
            for type in [work.type] + work.aliases {
                let length = TypeLabel(type, version: work.payloadVersion).name.utf8.count
                guard type.isValid, length <= Limits.nameBytes else {
                    throw SchedulerError(.invalidTypeName, "\(work) is named \"\(type.name.prefix(40))\"")
                }
                guard taken.insert(type).inserted else {
                    throw SchedulerError(.alreadyRegistered, "two handlers are registered for \(type)")
                }
            }
        }
    }
}
