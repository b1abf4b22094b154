// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The names of fields in an exported store's lines.
enum ExchangeField: UInt8, CaseIterable {
    case type, format, identity, nextID, nextSequence, label, name, value, id, parent, count, priority, submitted
    case attributes, payload, key, phase, attempts, notBefore, cancel, crashes, newPriority, task, slot, firstFailure
    case root, sequence, kind, started, ended, memo, error, attachment, children, tasks

    var text: StaticString {
        switch self {
        case .type: "type"
        case .format: "format"
        case .identity: "identity"
        case .nextID: "next_id"
        case .nextSequence: "next_sequence"
        case .label: "label"
        case .name: "name"
        case .value: "value"
        case .id: "id"
        case .parent: "parent"
        case .count: "count"
        case .priority: "priority"
        case .submitted: "submitted"
        case .attributes: "attributes"
        case .payload: "payload"
        case .key: "key"
        case .phase: "phase"
        case .attempts: "attempts"
        case .notBefore: "not_before"
        case .cancel: "cancel"
        case .crashes: "crashes"
        case .newPriority: "new_priority"
        case .task: "task"
        case .slot: "slot"
        case .firstFailure: "first_failure"
        case .root: "root"
        case .sequence: "sequence"
        case .kind: "kind"
        case .started: "started"
        case .ended: "ended"
        case .memo: "memo"
        case .error: "error"
        case .attachment: "attachment"
        case .children: "children"
        case .tasks: "tasks"
        }
    }

    /// Those with names of each length, so that few are compared.
    private static let byLength: [[ExchangeField]] = {
        var table: [[ExchangeField]] = []
        for field in allCases {
            let length = field.text.utf8CodeUnitCount
            while table.count <= length { table.append([]) }
            table[length].append(field)
        }
        return table
    }()

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count < Self.byLength.count else { return nil }
        let found = Self.byLength[bytes.count].first { field in
            UnsafeRawBufferPointer(start: field.text.utf8Start, count: bytes.count).elementsEqual(bytes)
        }
        guard let found else { return nil }
        self = found
    }
}

/// Some fields.
struct ExchangeFields: ExpressibleByArrayLiteral {
    private var bits: UInt64 = 0

    init(arrayLiteral fields: ExchangeField...) { for field in fields { bits |= 1 << UInt64(field.rawValue) } }

    func contains(_ field: ExchangeField) -> Bool { bits & (1 << UInt64(field.rawValue)) != 0 }

    static let run: Self = [.id, .parent, .count, .label, .priority, .submitted, .attributes]
    static let task: Self = [
        .id, .payload, .key, .phase, .attempts, .notBefore, .cancel, .crashes, .newPriority,
    ]
    static let child: Self = [
        .parent, .root, .id, .sequence, .kind, .label, .attempts, .started, .ended, .memo, .error, .attachment,
    ]
}

/// What a line of an exported store is about.
enum ExchangeType: CaseIterable {
    case store, name, value, inFlight, run, task, kept, parent, child, end

    var text: StaticString {
        switch self {
        case .store: "store"
        case .name: "name"
        case .value: "value"
        case .inFlight: "in_flight"
        case .run: "run"
        case .task: "task"
        case .kept: "kept"
        case .parent: "parent"
        case .child: "child"
        case .end: "end"
        }
    }

    static let all = allCases.map { (text: $0.text, value: $0) }
}

extension OutcomeKind {
    /// As they stand in exported files.
    static let named = allCases.map { (text: $0.name, value: $0) }
}
