// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Tracing

/// The runners of all registered types, and what holds for their tasks unless it is said otherwise.
struct TypeTable: Sendable {
    struct Entry: Sendable {
        let type: TaskType
        let labels: TypeLabels
        /// What the type, its domain and the scheduler say, without a retry policy and what is expected to be read and
        /// written: those are not decided by the spawn.
        let options: TaskOptions
        let expectedIO: IOEstimate?
        /// What a spawn without options writes.
        let terms: SpawnTerms
        let middleware: MiddlewareChain
    }

    /// By the raw value of the label.
    private(set) var runners: [(any TaskRunner)?] = []
    /// The aggregates over children that are kept up to date, by the raw value of the parents' label.
    var maintained: [UInt32: [MaintainedAggregate]] = [:]
    private var entries: [Entry] = []
    /// By the Swift type. Few enough that a walk is faster than hashing.
    private var works: [(type: ObjectIdentifier, entry: Int)] = []
    private var entriesByName: [TaskType: Int] = [:]
    /// Of former names.
    private var entriesByAlias: [TaskType: Int] = [:]

    mutating func add(_ entry: Entry, for work: any DurableTask.Type) {
        works.append((ObjectIdentifier(work), entries.count))
        entriesByName[entry.type] = entries.count
        for alias in work.aliases { entriesByAlias[alias] = entries.count }
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

    /// Of a type that is registered under this name, or was named so before.
    func label(named type: TaskType) -> Label? { entry(named: type)?.labels.current }

    /// The name that a type has today; the one it is asked by when nobody handles it.
    func currentName(of type: TaskType) -> TaskType { entry(named: type)?.type ?? type }

    private func entry(named type: TaskType) -> Entry? {
        (entriesByName[type] ?? entriesByAlias[type]).map { entries[$0] }
    }

    /// All labels of a type.
    func labels(ofAny type: any DurableTask.Type) throws(SchedulerError) -> [Label] {
        let labels = try labels(of: type)
        return [labels.current] + labels.others
    }

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
    func terms<Work: DurableTask>(
        of type: Work.Type, _ options: TaskOptions, backward: [UInt64] = []
    ) throws(SchedulerError) -> SpawnTerms {
        let entry = entries[try index(of: type)]
        var merged = options.merged(over: entry.options)
        if merged.expectedIO == entry.expectedIO { merged.expectedIO = nil }
        return try SpawnTerms(
            label: entry.terms.label, keyLabel: entry.terms.keyLabel, merged, backward: backward)
    }

    /// Where the context of traces comes from that tasks carry; nil when nothing is traced.
    var tracer: (any Tracer)? {
        entries.lazy.flatMap(\.middleware.all).compactMap { ($0 as? TracingMiddleware)?.tracer }.first
    }

    func middleware<Work: DurableTask>(around type: Work.Type) throws(SchedulerError) -> MiddlewareChain {
        entries[try index(of: type)].middleware
    }

    private func index<Work: DurableTask>(of type: Work.Type) throws(SchedulerError) -> Int {
        let wanted = ObjectIdentifier(type)
        for work in works where work.type == wanted { return work.entry }
        if let entry = entriesByName[type.type] { return entry }
        throw .notRegistered(type.type)
    }
}
