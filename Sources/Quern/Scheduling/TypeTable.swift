// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The runners of all registered types, and what holds for their tasks unless it is said otherwise.
struct TypeTable: Sendable {
    struct Entry: Sendable {
        let type: TaskType
        let labels: TypeLabels
        /// What the type, its domain and the scheduler say, without a retry policy: that is with the runner.
        let options: TaskOptions
        /// What a spawn without options writes.
        let terms: SpawnTerms
    }

    /// By the raw value of the label.
    private(set) var runners: [(any TaskRunner)?] = []
    private var entries: [Entry] = []
    /// By the Swift type. Few enough that a walk is faster than hashing.
    private var works: [(type: ObjectIdentifier, entry: Int)] = []
    private var entriesByName: [TaskType: Int] = [:]

    mutating func add(_ entry: Entry, for work: any DurableTask.Type) {
        works.append((ObjectIdentifier(work), entries.count))
        entriesByName[entry.type] = entries.count
        entries.append(entry)
    }

    mutating func add(_ runner: any TaskRunner, for label: Label) {
        let index = Int(label.rawValue)
        if index >= runners.count {
            runners.append(contentsOf: repeatElement(nil, count: index + 1 - runners.count))
        }
        runners[index] = runner
    }

    var facts: [TypeFacts?] { runners.map { $0?.facts } }

    func runner(of label: Label) -> (any TaskRunner)? {
        let index = Int(label.rawValue)
        return index < runners.count ? runners[index] : nil
    }

    /// The type of a label, also when nobody handles it.
    func type(of label: Label) -> TaskType { runner(of: label)?.type ?? "unknown" }

    /// Of a type that is registered under this name today.
    func label(named type: TaskType) -> Label? { entriesByName[type].map { entries[$0].labels.current } }

    func labels<Work: DurableTask>(of type: Work.Type) throws(SchedulerError) -> TypeLabels {
        entries[try index(of: type)].labels
    }

    /// What a spawn of the type writes.
    func terms<Work: DurableTask>(of type: Work.Type) throws(SchedulerError) -> SpawnTerms {
        entries[try index(of: type)].terms
    }

    /// What a spawn of the type with options writes.
    ///
    /// - Throws: `notRegistered`, `invalidOptions`.
    func terms<Work: DurableTask>(of type: Work.Type, _ options: TaskOptions) throws(SchedulerError) -> SpawnTerms {
        let entry = entries[try index(of: type)]
        var terms = entry.terms
        try terms.use(options.merged(over: entry.options))
        return terms
    }

    private func index<Work: DurableTask>(of type: Work.Type) throws(SchedulerError) -> Int {
        let wanted = ObjectIdentifier(type)
        for work in works where work.type == wanted { return work.entry }
        if let entry = entriesByName[type.type] { return entry }
        throw .notRegistered(type.type)
    }
}

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
        // The oldest label stays the same, whatever versions and names are to come.
        let oldest = known.min { $0.label.rawValue < $1.label.rawValue }?.label ?? current
        var terms = SpawnTerms(label: current, keyLabel: oldest)
        try terms.use(merged)
        table.add(
            TypeTable.Entry(type: registration.work.type, labels: labels, options: merged, terms: terms),
            for: registration.work)
        for (label, version) in known {
            var facts = registration.facts
            facts.label = current
            table.add(registration.makeRunner(facts, version, retry), for: label)
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
