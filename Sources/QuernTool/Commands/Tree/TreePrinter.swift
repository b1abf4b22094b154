// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Prints a hierarchy from the top, a level deeper at a time, in memory for the parents that are listed and the ids of
/// the others.
struct TreePrinter {
    /// A parent below another one.
    private struct Node {
        var id: TaskID
        var type: String
        /// Nil while it lives.
        var outcome: OutcomeKind?
    }

    /// The children of one task that are parents: the first ones, and how many more there are.
    private struct Level {
        var listed: [Node] = []
        var others: UInt64 = 0
    }

    private static let branch = "\u{251C}\u{2500} "
    private static let lastBranch = "\u{2514}\u{2500} "
    private static let passing = "\u{2502}  "

    private let store: OfflineStore
    private let names: TypeNames
    private let top: TaskID
    private let depth: Int
    private let width: Int
    private let isJSON: Bool
    /// Live parents by their parents, in the order of ids.
    private var liveParents: [TaskID: [TaskID]] = [:]
    /// The tasks below the top, or all, that have ended children; sorted.
    private var endedParents: [TaskID] = []

    init(_ store: OfflineStore, top: TaskID, depth: Int, width: Int, isJSON: Bool) {
        self.store = store
        self.top = top
        self.depth = depth
        self.width = width
        self.isJSON = isJSON
        names = TypeNames(store)
    }

    mutating func print(_ output: inout Output) throws(OutputFailure) {
        if depth > 0 {
            for status in store.liveTasks().parents where status.id != .none {
                guard let run = store.run(of: status.id) else { continue }
                liveParents[run.parent, default: []].append(status.id)
            }
            endedParents = store.parents(below: top)
        }
        let type = store.run(of: top).map { names[$0.label] } ?? ""
        try print(Node(id: top, type: type), parent: nil, level: 0, indent: "", last: true, &output)
    }

    private mutating func print(
        _ node: Node, parent: TaskID?, level: Int, indent: String, last: Bool, _ output: inout Output
    ) throws(OutputFailure) {
        let counts = store.children(of: node.id).counts
        let live = store.status(of: node.id)?.liveChildren ?? 0
        if isJSON {
            try writeJSON(node, parent, level, counts, live, &output)
        } else {
            let branch = level == 0 ? "" : last ? Self.lastBranch : Self.branch
            try output.line(indent + branch + title(node, output.style) + "  " + text(counts, live, output.style))
        }
        guard level < depth, counts.total + live > 0 else { return }
        let children = self.level(below: node.id, &output)
        let inner = level == 0 ? "" : indent + (last ? "   " : Self.passing)
        for (index, child) in children.listed.enumerated() {
            let isLast = index == children.listed.count - 1 && children.others == 0
            try print(child, parent: node.id, level: level + 1, indent: inner, last: isLast, &output)
        }
        guard children.others > 0 else { return }
        if isJSON {
            try output.json { json in
                json.field("parent", node.id.rawValue)
                json.field("depth", level + 1)
                json.field("parents_not_listed", children.others)
            }
        } else {
            try output.line(
                inner + Self.lastBranch + "and \(Numbers.grouped(children.others)) more parents: see --width")
        }
    }

    // MARK: A line

    private func title(_ node: Node, _ style: Style) -> String {
        guard node.id != .none else { return style.paint("all root tasks", .bold) }
        let type = node.type.isEmpty ? "" : " " + Printable.text(node.type)
        let state = node.outcome.map { " " + style.paint("\($0.name)", $0.colour) } ?? ""
        return style.paint("\(node.id)", .bold) + type + (node.id == top ? "" : node.outcome == nil ? " live" : state)
    }

    private func text(_ counts: OutcomeCounts, _ live: UInt64, _ style: Style) -> String {
        var parts = live > 0 ? ["\(Numbers.grouped(live)) live"] : []
        for kind in OutcomeKind.allCases where counts[kind] > 0 {
            let text = "\(Numbers.grouped(counts[kind])) \(kind.name)"
            parts.append(kind.isFailure ? style.paint(text, .red) : text)
        }
        return parts.isEmpty ? "no children" : parts.joined(separator: ", ")
    }

    private func writeJSON(
        _ node: Node, _ parent: TaskID?, _ level: Int, _ counts: OutcomeCounts, _ live: UInt64, _ output: inout Output
    ) throws(OutputFailure) {
        try output.json { json in
            json.field("id", node.id.rawValue)
            json.field("parent", parent?.rawValue)
            json.field("depth", level)
            json.field("type", node.type)
            json.field("state", node.id == top ? nil : node.outcome.map { "\($0.name)" } ?? "live")
            json.field("live_children", live)
            json.object("ended_children") { counts.append(to: &$0) }
        }
    }

    // MARK: A level

    private mutating func level(below parent: TaskID, _ output: inout Output) -> Level {
        var level = Level()
        for child in liveParents[parent] ?? [] {
            let type = store.run(of: child).map { names[$0.label] } ?? ""
            add(Node(id: child, type: type), to: &level)
        }
        // Children come behind their parents, so that none of them is a parent when no parent is left.
        guard let last = endedParents.last, last > parent else { return level }
        var walk = store.children(of: parent, columns: .facts)
        var block = ChildBlock()
        while let item = walk.next(into: &block) {
            if case .lost(let finding, _) = item {
                output.finding(finding.line)
                continue
            }
            for index in 0..<block.count {
                let id = block.id(at: index)
                guard isEndedParent(id) else { continue }
                add(Node(id: id, type: names[block.label(at: index)], outcome: block.kind(at: index)), to: &level)
            }
        }
        return level
    }

    private func add(_ node: Node, to level: inout Level) {
        if level.listed.count < width { level.listed.append(node) } else { level.others += 1 }
    }

    private func isEndedParent(_ id: TaskID) -> Bool {
        guard id <= endedParents[endedParents.count - 1] else { return false }
        var (low, high) = (0, endedParents.count)
        while low < high {
            let middle = (low + high) / 2
            if endedParents[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low < endedParents.count && endedParents[low] == id
    }
}
