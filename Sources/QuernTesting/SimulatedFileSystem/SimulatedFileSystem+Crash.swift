// SPDX-License-Identifier: Apache-2.0

extension SimulatedFileSystem {
    /// What a crash at this moment leaves, as a file system of its own.
    ///
    /// This one is not changed: several crashes may be tried at one moment, and files, mappings and locks taken here
    /// go on here without reaching the new one. In the new one nothing is open or locked, no faults are planned, and
    /// all counts are zero. Except after ``CrashPolicy/keepAll``, what it holds is on its disk.
    public func crash(keeping policy: CrashPolicy) -> SimulatedFileSystem {
        SimulatedFileSystem(
            withState { state in
                switch policy.kind {
                case .keepAll:
                    return state.afterProcessDeath()
                case .dropAll:
                    return state.afterPowerLoss(CrashSubset(bits: 0))
                case .random(let seed, let tearing):
                    return state.afterPowerLoss(CrashLottery(seed: seed, tearing: tearing))
                case .subset(let bits):
                    return state.afterPowerLoss(CrashSubset(bits: bits))
                }
            })
    }

    /// How many changes a power loss at this moment may take, each by itself: writes, lengths and names.
    public var unsyncedChanges: Int {
        withState { state in
            let nodes = state.names.mentioned
            return state.names.unsynced.count
                + nodes.reduce(0) { $0 + (state.files[$1]?.unsynced.count ?? 0) }
        }
    }
}

extension SimulatedState {
    fileprivate mutating func afterProcessDeath() -> SimulatedState {
        let mentioned = names.mentioned
        var copies: [Node: SimulatedFileContent] = [:]
        for node in files.keys where mentioned.contains(node) { copies[node] = files[node]?.clone() }
        return SimulatedState(names: names, files: copies)
    }

    fileprivate mutating func afterPowerLoss(_ choice: some CrashChoice) -> SimulatedState {
        var choice = choice
        var entries = names.durable
        let kept = choice.draw(names.unsynced)
        for (change, isKept) in zip(names.unsynced, kept) where isKept {
            SimulatedNames.apply(change, to: &entries)
        }
        let reachable = SimulatedNames.reachable(in: entries)
        entries = entries.filter { reachable.contains($0.key) }

        var remains: [Node: SimulatedFileContent] = [:]
        // In order, as the choice is made in order.
        for node in reachable.sorted() {
            guard var bytes = files[node]?.cloneDurable(), let unsynced = files[node]?.unsynced else { continue }
            choice.draw(unsynced, onto: &bytes)
            remains[node] = SimulatedFileContent(durable: bytes)
        }
        return SimulatedState(names: SimulatedNames(durable: entries), files: remains)
    }
}
