// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import Quern
@testable import QuernStore

/// What tasks wait for in the world of ``DispatcherModel`` before they may run, and what must never happen then (T16).
extension DispatcherModel {
    /// Dependencies on whatever there is: ended tasks, tasks above, tasks that wait for the new ones in turn.
    mutating func makeAttributes(for run: SpawnRun) -> TaskAttributes {
        var attributes = TaskAttributes()
        guard waitsForOthers else { return attributes }
        if chance(25) { attributes.start = .after(.milliseconds(Int64.random(in: 0...60, using: &random))) }
        if chance(20) { attributes.timeToLive = TimeToLive(.milliseconds(Int64.random(in: 0...300, using: &random))) }
        // Of a type without a handler nothing ever ends.
        let known = nodes.filter { $0.value.run.label.rawValue != 3 }.keys.sorted()
        if chance(40), !known.isEmpty {
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let id = known[Int.random(in: max(0, known.count - 40)..<known.count, using: &random)]
                let dependency = TaskDependency(TaskID(id), parent: TaskID(nodes[id]?.parent ?? 0))
                attributes.dependencies.append(dependency)
            }
            attributes.onDependencyFailure = DependencyPolicy.allCases.randomElement(using: &random) ?? .fail
            if chance(30) { attributes.onDependencyCancel = .ignore }
            if attributes.onDependencyCancel == attributes.onDependencyFailure { attributes.onDependencyCancel = nil }
        }
        return attributes
    }

    /// Does what the shell would do.
    mutating func answer(_ effects: Dispatcher.Effects) {
        if !effects.questions.isEmpty {
            dispatcher.questionsUnderWay -= 1
            for question in effects.questions {
                let id = question.task.rawValue
                if let outcome = nodes[id]?.outcome {
                    dispatcher.dependencyEnded(question.task, outcome)
                } else {
                    watched.insert(id)
                }
            }
        }
        if !effects.overdue.isEmpty {
            dispatcher.questionsUnderWay -= 1
            for id in effects.overdue where nodes[id.rawValue]?.outcome == nil && nodes[id.rawValue]?.cancel == nil {
                nodes[id.rawValue]?.cancel = .expired
                watchingClaims { $0.dispatcher.cancel([id: .expired]) }
            }
        }
    }

    /// Tells the dispatcher of the ends that it asked for.
    mutating func tellEnds() {
        var kinds: [TaskID: OutcomeKind] = [:]
        for id in watched { kinds[TaskID(id)] = nodes[id]?.outcome }
        watched.subtract(kinds.keys.map(\.rawValue))
        dispatcher.dependenciesEnded(kinds)
    }

    func checkWaited(_ id: TaskID) throws {
        guard let node = nodes[id.rawValue] else { return }
        if let start = node.attributes.startTime(ofSpawnAt: node.run.submittedAt), start > now {
            throw ModelError(description: "task \(id) starts before its time")
        }
        let isStrict = node.attributes.onDependencyFailure != .ignore && node.attributes.onDependencyCancel != .ignore
        for dependency in node.attributes.dependencies {
            let other = nodes[dependency.task.rawValue]
            if isStrict, other?.outcome != .completed {
                throw ModelError(description: "task \(id) runs before \(dependency.task), or in spite of it")
            }
        }
    }
}
