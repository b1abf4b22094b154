// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage

/// What every work is told: who takes part, how often, and which figures are wanted.
struct Bench {
    var engines: [EngineName]
    /// Whether somebody said which engines take part: then works do not leave out those that take long.
    var areEnginesChosen = false
    var rounds: Int
    var isQuick: Bool
    /// Rounds of works that take long: a quick run has less of them.
    var fewRounds: Int { isQuick ? min(rounds, 3) : rounds }
    /// Names of works; empty for all.
    var only: [String]
    var results: Results

    func wants(_ work: String) -> Bool { only.isEmpty || only.contains(work) }

    /// Who takes part in a round, another one first each time, so that no engine always finds the disk as the same
    /// neighbour left it. A quick run lets the slow ones take part in the first round alone.
    ///
    /// - Parameter candidates: who can do the work at all.
    func engines(inRound round: Int, among candidates: [EngineName] = EngineName.stores) -> [EngineName] {
        let taking = engines.filter { candidates.contains($0) && !(isQuick && round > 0 && $0.isSlow) }
        guard !taking.isEmpty else { return [] }
        let shift = round % taking.count
        return Array(taking[shift...] + taking[..<shift])
    }
}

/// Something that is measured, with every engine in turns.
protocol Work {
    /// What it can measure.
    var names: [String] { get }
    func run(_ bench: Bench) async throws
}

/// Samples by work, engine and metric, in the order in which they first came.
struct SampleTable {
    private var found: [Measurement] = []

    mutating func add(
        _ work: String, _ engine: String, _ metric: Metric, _ value: Double, synced: Bool? = nil, note: String? = nil
    ) {
        let index = found.firstIndex { $0.work == work && $0.engine == engine && $0.metric == metric }
        if let index {
            found[index].samples.append(value)
        } else {
            found.append(
                Measurement(
                    work: work, engine: engine, metric: metric, samples: [value], synced: synced, note: note))
        }
    }

    /// Works in the order of `names`, engines in their usual order, the limit last.
    func sorted(_ names: [String]) -> [Measurement] {
        let engines = EngineName.allCases.map(\.rawValue)
        return found.enumerated().sorted { left, right in
            func place(_ item: (offset: Int, element: Measurement)) -> (Int, Int, Int) {
                (
                    names.firstIndex(of: item.element.work) ?? names.count,
                    engines.firstIndex(of: item.element.engine) ?? engines.count, item.offset
                )
            }
            return place(left) < place(right)
        }.map(\.element)
    }
}

/// Compares what an engine found with what was put in.
func verify<Value: Equatable>(_ found: Value, _ expected: Value, _ engine: String, _ call: String) throws {
    if found != expected { throw EngineFailure(engine, call, "found \(found), expected \(expected)") }
}
