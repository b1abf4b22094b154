// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How the store names a task's type together with the version of its payload: "type" for version 0, else "type#3".
struct TypeLabel: Hashable {
    var type: TaskType
    var version: UInt32 = 0

    var name: String { version == 0 ? type.name : "\(type.name)#\(version)" }

    init(_ type: TaskType, version: UInt32 = 0) {
        self.type = type
        self.version = version
    }

    /// Reads a name; one that has another form is a type's as it is.
    init(name: String) {
        type = TaskType(name)
        guard let separator = name.utf8.lastIndex(of: UInt8(ascii: "#")), separator > name.startIndex,
            let version = UInt32(name[name.utf8.index(after: separator)...]), version > 0
        else { return }
        let label = TypeLabel(TaskType(String(name[..<separator])), version: version)
        // Not "type#03" and the like.
        if label.name.utf8.elementsEqual(name.utf8) { self = label }
    }
}

/// All labels that a type has in a store, for its versions and former names. Nearly always one.
@usableFromInline
struct TypeLabels: Sendable, Equatable {
    /// That of new tasks.
    @usableFromInline let current: Label
    @usableFromInline var others: [Label] = []

    init(_ current: Label) { self.current = current }

    @inlinable
    func contains(_ label: Label) -> Bool { label == current || (!others.isEmpty && others.contains(label)) }
}
