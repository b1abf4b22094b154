// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension OutcomeKind {
    /// As it is printed and as options take it; a name keeps its meaning.
    var name: StaticString {
        switch self {
        case .completed: "completed"
        case .failed: "failed"
        case .deadLettered: "dead_lettered"
        case .cancelled: "cancelled"
        case .expired: "expired"
        case .superseded: "superseded"
        case .dependencyFailed: "dependency_failed"
        }
    }

    var colour: Style.Colour? {
        switch self {
        case .completed: .green
        case .failed, .deadLettered, .expired, .dependencyFailed: .red
        case .cancelled, .superseded: .yellow
        }
    }
}

extension OutcomeCounts {
    /// A field for each outcome that any child has.
    func append(to json: inout JSONLine) {
        for kind in OutcomeKind.allCases where self[kind] > 0 { json.field(kind.name, self[kind]) }
    }

    /// "1,234 completed, 5 failed"; "none" for none.
    var text: String {
        let parts = OutcomeKind.allCases.filter { self[$0] > 0 }.map { "\(Numbers.grouped(self[$0])) \($0.name)" }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
}

/// The names of task types, by label.
struct TypeNames: Sendable {
    private let names: [String]

    init(_ store: OfflineStore) { names = store.names }

    /// One that the store does not know any more is called by its number.
    subscript(label: Label) -> String {
        let index = Int(label.rawValue) - 1
        return names.indices.contains(index) ? names[index] : "label \(label.rawValue)"
    }
}
